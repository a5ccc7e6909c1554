"""Adapt a classifier from one folder to another, and look at what came out.

    python examples/adapt_two_folders.py SOURCE TARGET [LABELLED] [--steps 1000] [--out runs/two_folders]

SOURCE has one folder per class. TARGET has photos; labels are never read there. LABELLED has photos in folders per
class, none of them in TARGET. The method is the default one. It prints the first predictions, the share of each class
among all of them, the accuracy on renders that were held out of training, and the accuracy on LABELLED if it is given.
Imports: weighbridge
"""

import argparse

import weighbridge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("labelled", nargs="?")
    parser.add_argument("--steps", type=int, default=1000, help="of the pre-classifier, and again of adapting it")
    parser.add_argument("--out", default="runs/two_folders", help="the run folder; it must not exist yet")
    words = parser.parse_args()

    # Every setting is an argument of its name: method="weighted-dann", image_size=64, flip=True, ...
    run = weighbridge.adapt(
        source=words.source, target=words.target, out=words.out, pre_steps=words.steps, steps=words.steps
    )

    predictions = run.predict(words.target)
    print(f"the first of {len(predictions)} predictions")
    for prediction in predictions[:5]:
        print(f"  {prediction.file}: {prediction.label}, probability {prediction.probability:.2f}")

    # Shares that you know to be wrong say that adapting failed; one near 100 % says that training collapsed.
    print("shares of the classes")
    for name, share in run.metrics["target"]["class_shares"].items():
        print(f"  {name}: {100 * share:.1f} %")

    if held_out := run.metrics["source_held_out"]:  # None if the source is too small to hold any out
        print(f"accuracy on {held_out['images']} held-out renders: {100 * held_out['accuracy']:.1f} %")
    if words.labelled:  # read now, after all training
        evaluation = run.evaluate(words.labelled)
        print(f"accuracy on {evaluation.images} labelled photos: {100 * evaluation.accuracy:.1f} %")
    print(f"all files: {run.path}; as one page: {run.path / 'report.html'}")


if __name__ == "__main__":
    main()
