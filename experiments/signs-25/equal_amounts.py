"""Three sources of equal size from the renders of figure 4: lists that `weighbridge compare` reads.

    python experiments/signs-25/equal_amounts.py work

WORK/equal/realtime.csv and prerendered.csv hold 500 images of each class, both.csv 250 of either kind: 12,500 each, so
that table 1 compares kinds of images and not amounts.
"""

import csv
import sys
from pathlib import Path

EACH = 500


def images(folder: Path, label: str) -> list[Path]:
    """The images of one class by name, which is the order in which they were rendered."""
    found = sorted((folder / label).glob("*.png"))
    if len(found) < EACH:
        raise SystemExit(f"expected at least {EACH} images in '{folder / label}', found {len(found)}")
    return found[:EACH]


def main(work: Path) -> None:
    kinds = {"realtime": work / "signs/source", "prerendered": work / "signs/target/train"}
    labels = sorted(path.name for path in kinds["realtime"].iterdir() if path.is_dir())
    (work / "equal").mkdir(exist_ok=True)
    takes = {"realtime": {"realtime": EACH}, "prerendered": {"prerendered": EACH}}
    takes["both"] = {"realtime": EACH // 2, "prerendered": EACH // 2}
    for name, shares in takes.items():
        with (work / "equal" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["file", "label", "source"])
            for kind, count in shares.items():
                for label in labels:
                    rows.writerows(
                        [Path("..") / path.relative_to(work), label, kind]
                        for path in images(kinds[kind], label)[:count]
                    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
