"""Features of a frozen backbone: computed once, kept, and the same however often somebody stops."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from weighbridge.data.images import ArrayImages, View
from weighbridge.data.strong import StrongAugmentation
from weighbridge.data.transforms import Augmentation, Preparation
from weighbridge.engine.features import computed
from weighbridge.errors import DataError

COUNT, VIEWS = 70, 2  # more images than two forward passes take


def images(seed=0, digest="pixels"):
    pixels = np.random.default_rng(seed).integers(0, 256, (COUNT, 8, 8, 3), dtype=np.uint8)
    return ArrayImages(pixels, View(8, 3), digest=digest)


def backbone():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())


PREPARATION = Preparation(Augmentation(shift=0.2), "half", StrongAugmentation(0.5))


def features(home, *, module=None, of=None, preparation=PREPARATION, views=VIEWS, named="a", progress=None):
    return computed(
        lambda: module or backbone(),
        of or images(),
        preparation,
        views=views,
        autocast=nullcontext,
        named=named,
        home=home,
        progress=progress,
    )


def everything(vectors):
    """(N, 1 + V, F)."""
    rows, looks = torch.arange(len(vectors)), range(1 + vectors._augmented.shape[1])
    return np.stack([vectors.fetch(rows, torch.full((len(rows),), look)).numpy() for look in looks], axis=1)


def test_the_plain_look_is_what_the_backbone_says_in_evaluation_mode(tmp_path):
    module = backbone().train()
    vectors = features(tmp_path, module=module)
    assert (len(vectors), vectors.width) == (COUNT, 4)
    assert module.training  # as it was before
    rows = torch.tensor([3, 69])
    expected = module.eval()(PREPARATION.plain(images().fetch(rows)))
    assert torch.allclose(vectors.fetch(rows), expected, atol=2e-3)


def test_looks_differ_from_the_plain_one_and_from_each_other(tmp_path):
    plain, first, second = everything(features(tmp_path)).transpose(1, 0, 2)
    assert not np.array_equal(plain, first)
    assert not np.array_equal(first, second)
    still = everything(features(None, preparation=Preparation(normalisation="half")))
    assert np.array_equal(still[:, 0], still[:, 1])  # nothing is drawn: all looks are the plain one


def test_what_is_there_is_not_computed_again(tmp_path):
    first = features(tmp_path)
    again = computed(
        lambda: pytest.fail("the backbone was asked for"),
        images(),
        PREPARATION,
        views=VIEWS,
        autocast=nullcontext,
        named="a",
        home=tmp_path,
    )
    assert np.array_equal(everything(first), everything(again))
    assert first.digest == again.digest


@pytest.mark.parametrize(
    "change",
    [
        {"of": images(1, "other pixels")},
        {"preparation": Preparation(Augmentation(shift=0.3), "half", StrongAugmentation(0.5))},
        {"preparation": Preparation(Augmentation(shift=0.2), "per-image", StrongAugmentation(0.5))},
        {"views": 1},
        {"named": "b"},
    ],
    ids=["images", "augmentation", "scale", "views", "weights"],
)
def test_whatever_changes_the_features_changes_their_name(tmp_path, change):
    assert features(tmp_path).digest != features(tmp_path, **change).digest


def test_a_build_that_was_stopped_goes_on_to_the_same_numbers(tmp_path):
    done = []

    def stop(count, total):
        done.append(count)
        if len(done) == 5:  # the second part of the augmented looks
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        features(tmp_path, progress=stop)
    assert done == [32, 64, 70, 32, 64]
    later = []
    continued = features(tmp_path, progress=lambda count, total: later.append((count, total)))
    assert later == [(70, COUNT)]
    assert np.array_equal(everything(continued), everything(features(None)))


def test_plain_looks_are_shared_whatever_the_augmentation(tmp_path):
    features(tmp_path)
    seen = []
    features(
        tmp_path, views=0, preparation=Preparation(normalisation="half"), progress=lambda *count: seen.append(count)
    )
    assert not seen
    features(tmp_path, preparation=Preparation(Augmentation(shift=0.9)), progress=lambda *count: seen.append(count))
    assert seen == [(32, COUNT), (64, COUNT), (70, COUNT)]  # the augmented ones alone


def test_features_beyond_float16_are_told(tmp_path):
    module = nn.Sequential(backbone(), nn.Linear(4, 2))
    nn.init.constant_(module[1].bias, 1e6)
    with pytest.raises(DataError, match=r"below 65,504, got 1e\+06"):
        features(tmp_path, module=module)


def test_a_student_draws_any_look_and_a_teacher_the_plain_one(tmp_path):
    vectors = features(tmp_path)
    drawn = vectors.draw(3000, torch.Generator().manual_seed(0), strong=True)
    assert np.allclose(np.bincount(drawn) / 3000, 1 / 3, atol=0.03)
    assert vectors.draw(3000, torch.Generator(), strong=False) is None
    rows = torch.tensor([1, 1, 1])
    looks = vectors.fetch(rows, torch.tensor([0, 1, 2]))
    assert torch.equal(looks[0], vectors.fetch(rows)[0])
    assert not torch.equal(looks[1], looks[2])


def test_moments_are_those_of_the_plain_looks(tmp_path):
    vectors = features(tmp_path)
    plain = torch.from_numpy(everything(vectors)[:, 0].astype(np.float64))
    mean, deviation = vectors.moments()
    assert torch.allclose(mean.double(), plain.mean(0), atol=1e-6)
    assert torch.allclose(deviation.double(), plain.std(0, correction=0), atol=1e-6)
