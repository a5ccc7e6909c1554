"""What is asked of the data for which purpose."""

import shutil

from weighbridge.data.augmix import AugMix
from weighbridge.data.transforms import PixelScale
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
    frozen = Config(method="adabn", weights="imagenet", training="full", batch_norm="frozen")
    assert build_data.caution(frozen) == (
        "batch_norm = 'frozen' leaves no statistics to read anew, so this is source-only again"
    )
    assert build_data.caution(frozen.replace(batch_norm="train")) is None


def test_pixels_follow_the_weights_unless_they_are_set():
    trained = Config(backbone="resnet18", weights="some.pth")
    assert build_data.build_preparation(trained).normalisation == PixelScale(
        (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )
    assert build_data.build_reading(trained).view.interpolation == "bilinear"
    for setting in ("half", "imagenet", "per-image"):
        by_hand = trained.replace(normalisation=setting)
        assert build_data.build_preparation(by_hand).normalisation == setting
        assert build_data.build_reading(by_hand).view.interpolation == "bicubic"
    assert build_data.build_preparation(Config()).normalisation == "per-image"
    assert build_data.build_reading(Config()).view.interpolation == "bicubic"
