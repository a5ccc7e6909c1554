"""What is asked of the data for which purpose."""

import shutil

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
