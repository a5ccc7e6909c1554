"""The demo's own images."""

import numpy as np
from sklearn.datasets import load_digits

from weighbridge.demo.digits import handwritten_digits, printed_digits, write_demo_data


def test_the_same_seed_draws_the_same_digits_in_both_qualities():
    clean, labels = printed_digits(3, quality="realtime", size=16, seed=0)
    again, _ = printed_digits(3, quality="realtime", size=16, seed=0)
    worn, worn_labels = printed_digits(3, quality="prerendered", size=16, seed=0)
    assert np.array_equal(clean, again)
    assert np.array_equal(labels, worn_labels)
    assert not np.array_equal(clean, worn)
    overlap = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(clean, worn, strict=True)]
    assert np.median(overlap) > 0.7  # the same scene behind the wear


def test_no_digit_is_blank_cut_off_or_a_missing_glyph():
    images, labels = printed_digits(40, quality="realtime", size=32, seed=1)
    assert (images.max(axis=(1, 2)) > 200).all()
    share = (images > 128).mean(axis=(1, 2))
    assert share.min() > 0.02
    assert share.max() < 0.7
    means = np.stack([images[labels == digit].mean(axis=0).ravel() for digit in range(10)])
    assert np.abs(np.corrcoef(means) - np.eye(10)).max() < 0.95  # ten different shapes


def test_handwriting_is_real_and_its_two_parts_do_not_overlap():
    adaptation, _ = handwritten_digits("adaptation", size=16)
    evaluation, digits = handwritten_digits("evaluation", size=16)
    assert len(adaptation) + len(evaluation) == len(load_digits().target)
    assert np.bincount(digits).min() > 50
    seen = {image.tobytes() for image in adaptation}
    assert not any(image.tobytes() in seen for image in evaluation)


def test_demo_data_is_written_whole_and_kept(tmp_path):
    data = write_demo_data(tmp_path / "data", per_class=2, size=16, seed=0)
    assert sum(1 for _ in data.realtime.rglob("*.png")) == 20
    assert sum(1 for _ in data.handwritten.glob("*.png")) == 1198
    assert not any(path.is_dir() for path in data.handwritten.iterdir())
    (data.handwritten / "0000.png").unlink()
    write_demo_data(tmp_path / "data", per_class=2, size=16, seed=0)
    assert not (data.handwritten / "0000.png").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
