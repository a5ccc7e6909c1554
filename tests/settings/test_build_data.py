"""What is asked of the data for which purpose."""

import shutil

from weighbridge.data.augmix import AugMix
from weighbridge.settings import build_data
from weighbridge.settings.config import Config


def test_near_duplicates_are_grouped_to_evaluate_and_not_to_train(renders):
    for k in range(3):
        shutil.copy(renders / "spot" / "000.png", renders / "spot" / f"copy{k}.png")
    config = Config(image_size=16)
    source, held_out = build_data.open_source([renders], config)
    assert {source.grouped_by, held_out.grouped_by} == {"nothing"}
    labelled = build_data.open_labelled(renders, config, source.classes)
    assert labelled.grouped_by == "near-duplicates"
    copies = [k for k in range(len(labelled)) if "copy" in labelled.files[k] or "spot/000" in labelled.files[k]]
    assert len(copies) == 4
    assert len(set(labelled.groups[:][copies].tolist())) == 1


def test_a_crop_of_the_whole_is_no_crop_and_the_kind_of_strong_augmentation_is_the_one_set():
    assert build_data.build_preparation(Config(resized_crop=1.0)) == build_data.build_preparation(Config())
    strong = build_data.build_preparation(Config(resized_crop=0.7, jitter=0.2, strong_kind="augmix")).strong
    assert strong == AugMix(0.5)
    assert build_data.build_preparation(Config(strong_kind="augmix", strong_augmentation=0.0)).strong is None


def test_adabn_with_frozen_statistics_says_what_it_is():
    frozen = Config(method="adabn", weights="imagenet", batch_norm="frozen")
    assert build_data.caution(frozen) == (
        "batch_norm = 'frozen' leaves no statistics to read anew, so this is source-only again"
    )
    assert build_data.caution(frozen.replace(batch_norm="train")) is None
