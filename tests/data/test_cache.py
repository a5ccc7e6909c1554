"""Decoded squares are made once, by one, whatever happens, and are never wrong without being noticed."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import write_classes
from data.hostile import encoded, picture, write_files
from weighbridge.data import cache, images
from weighbridge.data.images import View
from weighbridge.data.reading import Reading, read_labelled, read_unlabelled
from weighbridge.errors import DataError

ROOT = Path(__file__).parents[2]


def read(folder, home, *, cache="disk", size=16, slack=0, later=False):
    return read_unlabelled(folder, Reading(View(size, 1, slack=slack), cache=cache, home=home, later=later))


def pixels(domain):
    return domain.images.fetch(torch.arange(len(domain)))


def decoded_names(monkeypatch):
    """The files that are decoded from here on."""
    names = []
    real = images.decode_image

    def count(source, **options):
        names.append(Path(source.name).name)
        return real(source, **options)

    monkeypatch.setattr(images, "decode_image", count)
    return names


def cache_folders(home):
    return [path for path in (home / "pixels").iterdir() if path.is_dir()]


def test_all_ways_of_keeping_pixels_agree(renders, tmp_path):
    first, *others = (pixels(read(renders, tmp_path, cache=mode)) for mode in ("memory", "disk", "off", "disk", "auto"))
    assert first.shape == (36, 1, 16, 16)
    for other in others:
        assert torch.equal(first, other)


@pytest.mark.parametrize("mode", ["memory", "disk", "off"])
def test_what_waits_is_decoded_when_it_is_asked_for_and_is_the_same(renders, tmp_path, monkeypatch, mode):
    now = read(renders, tmp_path, cache=mode)
    names = decoded_names(monkeypatch)
    waiting = read(renders, tmp_path / "other", cache=mode, later=True)
    assert names == []
    assert len(waiting) == 36
    assert waiting.images.digest == now.images.digest
    assert torch.equal(pixels(waiting), pixels(now))
    assert len(set(names)) == 12  # names repeat in each class


def test_another_interpolation_is_another_cache(renders, tmp_path):
    made = [
        pixels(read_unlabelled(renders, Reading(View(7, 1, interpolation=name), cache="disk", home=tmp_path)))
        for name in ("bicubic", "bilinear", "bicubic")
    ]
    assert len(cache_folders(tmp_path)) == 2
    assert torch.equal(made[0], made[2])
    assert not torch.equal(made[0], made[1])


def test_a_cache_is_made_once_and_again_when_the_images_change(renders, tmp_path, monkeypatch):
    names = decoded_names(monkeypatch)
    pixels(read(renders, tmp_path))
    assert len(names) == 36
    names.clear()
    pixels(read(renders, tmp_path))
    assert names == []
    pixels(read(renders, tmp_path, size=8))
    assert len(names) == 36
    (renders / "spot" / "000.png").write_bytes(encoded(picture(), "PNG"))
    changed = pixels(read(renders, tmp_path))
    assert len(names) == 72
    assert torch.equal(changed, pixels(read(renders, tmp_path, cache="off")))


def test_parts_of_one_index_have_caches_of_their_own(tmp_path):
    for name, seed in (("train", 0), ("test", 1)):
        write_classes(tmp_path / "a" / name, seed=seed)
    view = View(16, 1)
    for split in ("train", "test"):
        kept, fresh = (
            read_labelled([tmp_path / "a"], Reading(view, cache=cache, home=tmp_path / "cache"), splits=(split,))
            for cache in ("disk", "off")
        )
        rows = torch.arange(36)
        assert torch.equal(kept.images.fetch(rows), fresh.images.fetch(rows))


def test_a_damaged_image_is_noticed_and_decoded_again(renders, tmp_path, monkeypatch):
    good = pixels(read(renders, tmp_path))
    (folder,) = cache_folders(tmp_path)
    with (folder / "pixels").open("r+b") as file:
        file.seek(5 * 256 + 7)
        file.write(b"\xff\0\xff\0")
    names = decoded_names(monkeypatch)
    assert torch.equal(pixels(read(renders, tmp_path)), good)
    assert len(names) == 1
    assert torch.equal(pixels(read(renders, tmp_path)), good)
    assert len(names) == 1


def builder(folder, home):
    """A build in a process of its own that can be killed on the way."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom weighbridge.data import cache, images\n"
        "from weighbridge.data.reading import Reading, read_unlabelled\nreal = images.decode_image\n"
        "def slow(*words, **options):\n    time.sleep(0.05)\n    return real(*words, **options)\n"
        "images.decode_image, cache._AT_ONCE = slow, 4\nprint('started', flush=True)\n"
        "reading = Reading(images.View(16, 1), cache='disk', home=Path(sys.argv[2]))\n"
        "print(len(read_unlabelled(Path(sys.argv[1]), reading)))\n"
    )
    words = [sys.executable, "-c", code, str(folder), str(home)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}
    )


def built(home):
    """Images decoded so far by an unfinished build."""
    return sum(int(np.fromfile(path, dtype=np.uint8).sum()) for path in (home / "pixels").glob("*.part/done"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_build_that_was_stopped_goes_on(tmp_path, monkeypatch, number):
    folder, home = write_classes(tmp_path / "a", count=60), tmp_path / "cache"
    process = builder(folder, home)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and built(home) < 20:
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=30)
    kept = built(home)
    assert 20 <= kept < 180
    names = decoded_names(monkeypatch)
    domain = read(folder, home)
    assert 180 - kept <= len(names) <= 180 - kept + 4  # at most the batch that was in the making
    assert torch.equal(pixels(domain), pixels(read(folder, home, cache="off")))


def test_two_builds_at_once_share_one_cache(tmp_path):
    folder, home = write_classes(tmp_path / "a", count=20), tmp_path / "cache"
    both = [builder(folder, home) for _ in range(2)]
    for process in both:
        assert process.communicate(timeout=120)[0] == "started\n60\n"
    assert [path.suffix for path in cache_folders(home)] == [""]
    assert torch.equal(pixels(read(folder, home)), pixels(read(folder, home, cache="off")))


def test_a_full_disk_is_one_sentence_and_leaves_nothing(renders, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    read(renders, tmp_path, cache="off")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    try:
        with pytest.raises(DataError, match=r"need 0\.0 GiB in '.*pixels': File too large\. Set WEIGHBRIDGE_CACHE"):
            read(renders, tmp_path, size=64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert cache_folders(tmp_path) == []
    assert len(read(renders, tmp_path, size=64)) == 36


def test_crops_come_out_of_what_is_kept(tmp_path):
    random = np.random.default_rng(0)
    content = random.integers(0, 256, (10, 10), dtype=np.uint8)
    folder = write_files(tmp_path / "a", {"a.png": encoded(Image.fromarray(content), "PNG")})
    for mode in ("memory", "disk", "off"):
        kept = read(folder, tmp_path / "cache", cache=mode, size=8, slack=2).images
        corners = kept.draw(300, torch.Generator().manual_seed(0), strong=False)
        assert sorted(set(map(tuple, corners.tolist()))) == [(top, left) for top in range(3) for left in range(3)]
        crops = kept.fetch(torch.zeros(3, dtype=torch.int64), torch.tensor([[0, 0], [2, 1], [1, 2]]))
        for crop, (top, left) in zip(crops, [(0, 0), (2, 1), (1, 2)], strict=True):
            assert np.array_equal(crop[0].numpy(), content[top : top + 8, left : left + 8])
        assert np.array_equal(kept.fetch(torch.tensor([0]))[0, 0].numpy(), content[1:9, 1:9])


def test_memory_holds_no_pixels_of_a_mapped_domain(renders, tmp_path):
    domain = read_labelled([renders], Reading(View(16, 1), cache="disk", home=tmp_path))
    assert isinstance(domain.images._pixels, np.memmap)


def test_colour_pixels_lie_channels_last(renders, tmp_path):
    view = View(16, 3)
    batch = read_unlabelled(renders, Reading(view, cache="memory", home=tmp_path)).images.fetch(torch.arange(4))
    assert batch.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks the kernel what a process holds")
def test_pages_of_a_cache_do_not_stay_with_the_process(renders, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_TOUCHED", 2**20)
    domain = read(renders, tmp_path, size=512)  # 9 MiB of pixels
    before = _mapped_kib()
    for row in range(len(domain)):
        domain.images.fetch(torch.tensor([row]))
    assert _mapped_kib() - before < 3_000


def _mapped_kib():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile"))
    return int(line.split()[1])
