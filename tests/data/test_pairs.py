"""What a step sees is a function of (seed, step)."""

import pytest
import torch

from conftest import write_classes
from weighbridge.data.images import View
from weighbridge.data.pairs import PairStream
from weighbridge.data.reading import Reading, read_labelled, read_unlabelled
from weighbridge.data.strong import StrongAugmentation
from weighbridge.data.transforms import Augmentation, Preparation


@pytest.fixture
def stream(renders, photos):
    source = read_labelled([renders], Reading(View(16, 1)))
    target = read_unlabelled(photos, Reading(View(16, 1)))

    def make(**options):
        settings = {"batch_source": 8, "batch_target": 4, "seed": 0, "device": torch.device("cpu")}
        settings["preparation"] = Preparation(Augmentation(rotate=20, noise=0.1))
        return PairStream(source, target, **(settings | options))

    return make


def same(a, b):
    return torch.equal(a.source.images, b.source.images) and torch.equal(a.target.images, b.target.images)


def test_a_step_can_be_asked_for_in_any_order(stream):
    forwards, backwards = stream(), stream()
    ahead = [forwards.at(step) for step in range(12)]
    behind = {step: backwards.at(step) for step in reversed(range(12))}
    assert all(same(ahead[step], behind[step]) for step in range(12))


def test_an_image_is_augmented_anew_every_time_it_comes(stream):
    first, second = (stream(batch_source=36).at(step).source for step in (0, 1))  # all of them, twice
    a, b = first.images[first.index.argsort()], second.images[second.index.argsort()]
    assert all(not torch.equal(a[k], b[k]) for k in range(36))


def test_another_seed_gives_other_batches(stream):
    assert not torch.equal(stream().at(0).source.index, stream(seed=1).at(0).source.index)


def test_every_image_comes_once_before_any_comes_again(stream):
    batches = stream(batch_source=9)
    seen = torch.cat([batches.at(step).source.index for step in range(8)])  # two epochs of 36
    assert sorted(seen[:36].tolist()) == list(range(36))
    assert sorted(seen[36:].tolist()) == list(range(36))
    assert seen[:36].tolist() != seen[36:].tolist()


def test_a_batch_may_be_larger_than_the_domain(stream):
    index = stream(batch_target=70).at(0).target.index
    assert len(index) == 70
    assert torch.bincount(index).min() >= 2


def test_labels_and_sources_belong_to_their_images(stream, renders):
    source = read_labelled([renders], Reading(View(16, 1)))
    batch = stream(preparation=Preparation()).at(3).source
    assert torch.equal(batch.labels, source.labels[batch.index])
    assert torch.equal(batch.images, Preparation().plain(source.images.fetch(batch.index)))


def test_processes_share_a_batch_without_overlap(stream):
    whole = stream().at(2).source.index
    parts = [stream(rank=rank, processes=2).at(2).source.index for rank in (0, 1)]
    assert sorted(torch.cat(parts).tolist()) == sorted(whole.tolist())
    assert len(parts[0]) == len(parts[1]) == 4


def test_a_target_batch_has_no_label_field(stream):
    assert set(vars(stream().at(0).target)) == {"images", "index", "second_view"}


def test_no_target_images_where_none_are_looked_at(stream):
    assert len(stream(batch_target=0).at(0).target.images) == 0


# ---- two views ----


def test_a_second_view_changes_no_bit_of_what_other_methods_see(stream):
    for step in (0, 3):
        one, two = stream().at(step), stream(target_views=2).at(step)
        assert one.target.second_view is None
        assert same(one, two)


def test_the_second_view_shows_the_same_images_augmented_anew(stream):
    target = stream(target_views=2).at(2).target
    assert all(not torch.equal(a, b) for a, b in zip(target.images, target.second_view, strict=True))
    plain = stream(target_views=2, preparation=Preparation()).at(2).target
    assert torch.equal(plain.images, plain.second_view)


def test_the_second_view_is_a_function_of_seed_and_step(stream):
    forwards, backwards = stream(target_views=2), stream(target_views=2)
    views = [forwards.at(step).target.second_view for step in range(4)]
    assert all(torch.equal(backwards.at(step).target.second_view, views[step]) for step in (3, 2, 1, 0))
    assert not torch.equal(stream(target_views=2, seed=1).at(0).target.second_view, views[0])


def test_strong_augmentation_is_for_what_the_student_sees_of_both_domains(stream):
    mild = Preparation(Augmentation(rotate=20, noise=0.1))
    strong = Preparation(mild.augmentation, strong=StrongAugmentation(1.0))
    before, after = (stream(target_views=2, preparation=preparation).at(2) for preparation in (mild, strong))
    assert torch.equal(before.target.second_view, after.target.second_view)
    untouched = Preparation(mild.augmentation, strong=StrongAugmentation(0.0))
    assert same(before, stream(target_views=2, preparation=untouched).at(2)), "what is mild is drawn as before"
    for plain, hard in ((before.source, after.source), (before.target, after.target)):
        assert all(not torch.equal(a, b) for a, b in zip(plain.images, hard.images, strict=True))


def test_strong_augmentation_is_the_same_for_methods_with_one_view_and_with_two(stream):
    strong = Preparation(Augmentation(rotate=20, noise=0.1), strong=StrongAugmentation(0.7))
    one, two, mild = (
        stream(preparation=strong).at(2),
        stream(preparation=strong, target_views=2).at(2),
        stream().at(2),
    )
    assert same(one, two)
    assert all(not torch.equal(a, b) for a, b in zip(one.source.images, mild.source.images, strict=True))


def test_a_method_that_looks_at_no_target_sees_the_same_renders(stream):
    strong = Preparation(strong=StrongAugmentation(0.7))
    with_target, alone = stream(preparation=strong).at(3), stream(preparation=strong, batch_target=0).at(3)
    assert torch.equal(with_target.source.images, alone.source.images)


def test_a_stream_that_goes_on_sees_what_comes_next_and_nothing_again(stream):
    whole, after = stream(), stream(first=30)
    for step in (0, 1, 7):
        assert same(after.at(step), whole.at(30 + step))
        assert after.noise_seed(step) == whole.noise_seed(30 + step)
    before = [whole.at(step) for step in range(30)]
    for batch in (after.at(step) for step in range(30)):
        assert not any(torch.equal(batch.source.images, old.source.images) for old in before)


class Draws(Preparation):
    """Shows one random number for each image in place of the image."""

    def training(self, images, generator, for_strong=None):
        return torch.rand(len(images), 1, 1, 1, generator=generator)


def test_the_second_view_shares_no_random_number_with_the_first_or_with_the_source(stream):
    pair = stream(target_views=2, preparation=Draws()).at(1)
    drawn = torch.cat([pair.source.images, pair.target.images, pair.target.second_view]).flatten()
    assert len(drawn.unique()) == 8 + 4 + 4


def test_both_views_are_cropped_for_themselves(renders, photos):
    view = View(12, 1, slack=4)
    source, target = read_labelled([renders], Reading(view)), read_unlabelled(photos, Reading(view))
    settings = {"batch_source": 8, "batch_target": 4, "seed": 0, "device": torch.device("cpu"), "target_views": 2}
    batch = PairStream(source, target, preparation=Preparation(), **settings).at(5).target
    assert batch.second_view.shape == (4, 1, 12, 12)
    assert not torch.equal(batch.images, batch.second_view)


# ---- balance ----


def uneven(renders, tmp_path):
    """Two sources of 36 and 12 images; the second shows its classes 8, 3 and 1 times."""
    other = write_classes(tmp_path / "other", count=8, seed=3)
    for name, keep in (("spot", 3), ("upright", 1)):
        for path in sorted((other / name).iterdir())[keep:]:
            path.unlink()
    return read_labelled([renders, other], Reading(View(16, 1)))


def batches(source, photos, balance, steps, batch=12):
    target = read_unlabelled(photos, Reading(View(16, 1)))
    settings = {"batch_source": batch, "batch_target": 0, "seed": 0, "device": torch.device("cpu")}
    stream = PairStream(source, target, preparation=Preparation(), balance=balance, **settings)
    return [stream.at(step).source for step in range(steps)]


@pytest.mark.parametrize(("balance", "column"), [("source", "source"), ("class", "labels")])
def test_every_batch_shows_sources_or_classes_equally(renders, photos, tmp_path, balance, column):
    source = uneven(renders, tmp_path)
    for batch in batches(source, photos, balance, 8):
        shown = torch.bincount(getattr(batch, column))
        assert len(set(shown.tolist())) == 1
        assert shown.sum() == 12


def test_both_balances_each_class_of_each_source(renders, photos, tmp_path):
    source = uneven(renders, tmp_path)
    for batch in batches(source, photos, "both", 8):
        assert torch.bincount(batch.source * 3 + batch.labels).tolist() == [2] * 6


def test_in_proportion_is_the_default(renders, photos, tmp_path):
    source = uneven(renders, tmp_path)
    index = torch.cat([batch.index for batch in batches(source, photos, "none", 4)])
    assert sorted(index.tolist()) == list(range(48))


def test_a_balanced_group_is_walked_through_without_repeats(renders, photos, tmp_path):
    source = uneven(renders, tmp_path)
    index = torch.cat([batch.index for batch in batches(source, photos, "source", 6)])
    first, second = (index[source.source[index] == k].tolist() for k in (0, 1))
    assert sorted(first) == list(range(36))
    assert [sorted(second[start : start + 12]) for start in (0, 12, 24)] == [list(range(36, 48))] * 3


def test_uneven_turns_even_out(renders, photos, tmp_path):
    source = uneven(renders, tmp_path)
    index = torch.cat([batch.index for batch in batches(source, photos, "class", 30, batch=7)])
    assert torch.bincount(source.labels[index]).tolist() == [70, 70, 70]


# ---- where pixels are ----


class Seen(Preparation):
    """Notes what it is given, and gives back what cannot be mistaken."""

    def training(self, images, generator, for_strong=None):
        self.__dict__.setdefault("given", []).append((images.dtype, images.device.type))
        return images.float()


def test_pixels_are_bytes_until_they_are_on_the_device(stream):
    preparation = Seen()
    pair = stream(preparation=preparation, device=torch.device("meta")).at(0)
    assert preparation.__dict__["given"] == [(torch.uint8, "meta"), (torch.uint8, "meta")]
    tensors = [pair.source.images, pair.source.labels, pair.source.source, pair.target.images]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert {tensor.dtype for tensor in tensors[1:3]} == {torch.int64}  # what losses and gathers want


def test_row_numbers_stay_where_what_is_stored_by_row_lies(stream):
    pair = stream(device=torch.device("meta")).at(0)
    for index in (pair.source.index, pair.target.index):
        assert (index.dtype, index.device.type) == (torch.int64, "cpu")


# ---- crops ----


def test_crops_move_in_training_and_are_a_function_of_the_step(renders, photos):
    view = View(12, 1, slack=4)
    source, target = read_labelled([renders], Reading(view)), read_unlabelled(photos, Reading(view))
    settings = {"batch_source": 8, "batch_target": 4, "seed": 0, "device": torch.device("cpu")}
    stream = PairStream(source, target, preparation=Preparation(), **settings)
    pair = stream.at(5)
    assert pair.source.images.shape == (8, 1, 12, 12)
    assert same(pair, stream.at(5))
    plain = Preparation().plain(source.images.fetch(pair.source.index))
    assert not torch.equal(pair.source.images, plain)
