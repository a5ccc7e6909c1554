"""The index tells the truth about every file, looks at nothing twice, and survives whatever happens to it."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import write_classes
from data.hostile import bad_files, encoded, mutated, odd_files, picture, png_claiming, write_files
from weighbridge.data import index as index_module
from weighbridge.data.decode import Unusable
from weighbridge.data.index import scan
from weighbridge.data.squares import decode_image
from weighbridge.errors import DataError

ROOT = Path(__file__).parents[2]


def names(index):
    return [Path(index.name(place)).name for place in range(len(index))]


def examined(monkeypatch):
    """The files that are examined from here on."""
    seen = []
    real = index_module.examine

    def count(source, *, name):
        seen.append(Path(name).name)
        return real(source, name=name)

    monkeypatch.setattr(index_module, "examine", count)
    return seen


# ---- what becomes of which file ----


@pytest.mark.parametrize("name", bad_files())
def test_a_file_that_cannot_be_used_is_listed_with_its_reason(tmp_path, name):
    content, status, reason = bad_files()[name]
    index = scan(write_files(tmp_path / "a", {name: content, "good.png": encoded(picture(), "PNG")}))
    assert names(index) == ["good.png"]
    (rejected,) = index.rejected("quarantined", "ignored")
    assert rejected.file == str(tmp_path / "a" / name)
    assert rejected.status == status
    assert reason in rejected.reason
    assert rejected.reason
    assert "\n" not in rejected.reason


@pytest.mark.parametrize("name", odd_files())
def test_an_unusual_file_is_used_and_described(tmp_path, name):
    content, mode, remarks = odd_files()[name]
    index = scan(write_files(tmp_path / "a", {name: content}))
    assert names(index) == [name]
    columns = ("mode", "remarks", "width", "height")
    (row,) = index.table(*columns)
    assert row[:2] == (mode, remarks)
    assert row[2:] == ((30, 40) if name == "turned.jpg" else (40, 30))
    assert decode_image(tmp_path / "a" / name, size=16, channels=3, fit="crop").shape == (16, 16, 3)


def test_pipes_links_in_a_circle_and_links_to_nowhere_are_listed(tmp_path):
    folder = write_files(tmp_path / "a", {"good.png": encoded(picture(), "PNG")})
    os.mkfifo(folder / "pipe.png")
    (folder / "round").symlink_to(folder)
    (folder / "nowhere.png").symlink_to(tmp_path / "gone.png")
    (folder / "nowhere").symlink_to(tmp_path / "gone")
    (folder / "good link.png").symlink_to(folder / "good.png")
    index = scan(folder)
    assert names(index) == ["good link.png", "good.png"]
    assert {Path(file.file).name: (file.status, file.reason) for file in index.rejected("quarantined", "ignored")} == {
        "pipe.png": ("ignored", "not a regular file"),
        "round": ("ignored", "a link to a folder that was read already"),
        "nowhere": ("ignored", "no such file or directory"),
        "nowhere.png": ("quarantined", "cannot be read: no such file or directory"),
    }


def test_a_folder_that_may_not_be_opened_is_quarantined_since_images_may_lie_in_it(tmp_path, monkeypatch):
    folder = write_files(tmp_path / "a", {"good.png": encoded(picture(), "PNG")})
    write_files(folder / "locked", {"inside.png": encoded(picture(seed=1), "PNG")})
    real = os.scandir

    def refused(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("os.scandir", refused)
    (rejected,) = scan(folder).rejected("quarantined", "ignored")
    assert (Path(rejected.file).name, rejected.status) == ("locked", "quarantined")
    assert rejected.reason == "cannot be read: permission denied"
    monkeypatch.undo()
    assert names(scan(folder)) == ["good.png", "inside.png"]


def test_file_names_may_be_any_bytes(tmp_path):
    folder = write_files(tmp_path / "a", {})
    odd = os.fsdecode(b'caf\xe9 \n\x01,".png')
    (folder / odd).write_bytes(encoded(picture(), "PNG"))
    index = scan(folder)
    assert names(index) == [odd]
    assert Path(index.name(0)).is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_listed(tmp_path):
    folder = write_files(tmp_path / "a", {"good.png": encoded(picture(), "PNG"), "mine.png": b"x"})
    (folder / "mine.png").chmod(0)
    assert [file.reason for file in scan(folder).rejected("quarantined")] == ["permission denied"]


# ---- nothing is looked at twice ----


def test_a_second_scan_examines_only_what_changed(renders, monkeypatch):
    seen = examined(monkeypatch)
    first = scan(renders)
    assert len(seen) == 36
    seen.clear()
    assert scan(renders).fingerprint == first.fingerprint
    assert seen == []
    (renders / "spot" / "000.png").write_bytes(encoded(picture(), "PNG"))
    (renders / "spot" / "new.png").write_bytes(encoded(picture(seed=1), "PNG"))
    (renders / "level" / "003.png").unlink()
    (renders / "level" / "004.png").rename(renders / "level" / "moved.png")
    second = scan(renders)
    assert sorted(seen) == ["000.png", "moved.png", "new.png"]
    assert second.fingerprint != first.fingerprint
    assert second.tally == {"used": 36, "quarantined": 0, "ignored": 0}
    assert sorted(names(second)) == sorted(path.name for path in renders.rglob("*.png"))


@pytest.mark.parametrize("same", ["size", "time"])
def test_a_new_size_or_a_new_time_alone_is_a_change(tmp_path, monkeypatch, same):
    path = write_files(tmp_path / "a", {"a.png": encoded(picture(), "PNG")}) / "a.png"
    first, before = scan(tmp_path / "a"), path.stat()
    content = path.read_bytes() + b"!"
    path.write_bytes(content if same == "time" else content[1:])
    later = before.st_mtime_ns + (0 if same == "time" else 1)
    os.utime(path, ns=(later, later))
    seen = examined(monkeypatch)
    assert scan(tmp_path / "a").fingerprint != first.fingerprint
    assert seen == ["a.png"]


def test_a_broken_file_that_was_mended_is_used(tmp_path):
    folder = write_files(tmp_path / "a", {"a.png": b"broken", "b.png": encoded(picture(), "PNG")})
    assert names(scan(folder)) == ["b.png"]
    (folder / "a.png").write_bytes(encoded(picture(seed=2), "PNG"))
    index = scan(folder)
    assert names(index) == ["a.png", "b.png"]
    assert list(index.rejected("quarantined")) == []


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error"), MemoryError()]
)
def test_what_did_not_lie_with_the_file_is_tried_again(tmp_path, monkeypatch, error):
    folder = write_files(tmp_path / "a", {"a.png": encoded(picture(), "PNG"), "b.png": b"broken"})

    def refused(*words, **options):
        raise error

    monkeypatch.setattr("PIL.Image.open", refused)
    assert len(list(scan(folder).rejected("quarantined"))) == 2
    monkeypatch.undo()
    assert names(scan(folder)) == ["a.png"]
    seen = examined(monkeypatch)
    scan(folder)
    assert seen == []  # what is broken in itself is not


def test_a_heic_photo_is_tried_again_once_its_decoder_may_be_there(tmp_path, monkeypatch):
    folder = write_files(tmp_path / "a", {"phone.heic": bad_files()["phone.heic"], "b.png": b"broken"})
    scan(folder)
    seen = examined(monkeypatch)
    scan(folder)
    assert seen == ["phone.heic"]


def test_whoever_reads_an_index_keeps_its_images_while_others_scan(tmp_path):
    folder = write_files(tmp_path / "a", {f"{k}.png": encoded(picture(seed=k), "PNG") for k in (1, 2, 3)})
    first = scan(folder)
    before = [first.read(place) for place in range(3)]
    write_files(folder, {"0.png": encoded(picture(seed=9), "PNG")})
    (folder / "3.png").unlink()
    second = scan(folder)
    assert names(second) == ["0.png", "1.png", "2.png"]
    assert [first.read(place) for place in range(3)] == before
    assert names(first) == ["1.png", "2.png", "3.png"]
    assert first.label_free_order().tolist() == [0, 1, 2]


def test_a_scan_that_was_stopped_leaves_the_finished_index_as_it_was(renders, monkeypatch):
    first = scan(renders)
    (renders / "spot" / "new.png").write_bytes(encoded(picture(), "PNG"))

    def stop(*words):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(index_module, "_put_in_order", stop)
        with pytest.raises(KeyboardInterrupt):
            scan(renders)
    assert len(index_module.Index(first.path, renders)) == 36
    seen = examined(monkeypatch)
    assert len(scan(renders)) == 37
    assert seen == []  # it had been examined before the stop


def test_a_new_label_in_a_manifest_is_seen_without_reading_the_image(renders, monkeypatch):
    manifest = renders / "list.csv"
    manifest.write_text("file,label\nspot/000.png,a\nspot/001.png,b\n")
    first = scan(manifest)
    seen = examined(monkeypatch)
    manifest.write_text("file,label\nspot/000.png,b\nspot/001.png,a\n")
    second = scan(manifest)
    assert seen == []
    assert second.column("label")[0].tolist() == [1, 0]
    assert second.fingerprint != first.fingerprint
    assert second.pixels == first.pixels


def test_an_index_lies_apart_from_the_images(renders, tmp_path):
    before = sorted(renders.rglob("*"))
    index = scan(renders, home=tmp_path / "cache")
    assert sorted(renders.rglob("*")) == before
    assert tmp_path / "cache" in index.path.parents


# ---- order ----


def test_places_follow_paths_with_2_before_10(tmp_path):
    images = {f"{k}.png": encoded(picture(seed=k), "PNG") for k in (10, 9, 2)}
    write_files(tmp_path / "a" / "b", images)
    write_files(tmp_path / "a" / "a10", images)
    write_files(tmp_path / "a" / "a9", images)
    write_files(tmp_path / "a", {"z.png": images["2.png"]})
    index = scan(tmp_path / "a")
    found = [os.path.relpath(index.name(place), tmp_path / "a") for place in range(len(index))]
    assert found == ["z.png", *(f"{folder}/{k}.png" for folder in ("a9", "a10", "b") for k in (2, 9, 10))]


def test_the_label_free_order_does_not_know_folders(tmp_path):
    images = [encoded(picture(seed=k), "PNG") for k in range(6)]
    for arrangement in ("abcabc", "ccbbaa"):
        for k, folder in enumerate(arrangement):
            write_files(tmp_path / arrangement / folder, {f"{k % 2}.png": images[k]})
    orders = []
    for arrangement in ("abcabc", "ccbbaa"):
        index = scan(tmp_path / arrangement)
        orders.append([Path(index.name(int(place))).read_bytes() for place in index.label_free_order()])
    assert orders[0] == orders[1]


# ---- accidents ----


def slow_scan(folder, home):
    """A scan in a process of its own that can be killed on the way."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom weighbridge.data import index\nreal = index.examine\n"
        "def slow(source, *, name):\n    time.sleep(0.01)\n    return real(source, name=name)\n"
        "index.examine, index._AT_ONCE, index._A_TASK = slow, 8, 1\n"
        "print('started', flush=True)\nindex.scan(Path(sys.argv[1]), home=Path(sys.argv[2]))\nprint('finished')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(home)], stdout=subprocess.PIPE, env=env, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_scan_goes_on_where_it_stopped(tmp_path, monkeypatch, number):
    folder, home = write_classes(tmp_path / "a", count=60), tmp_path / "cache"
    process = slow_scan(folder, home)
    assert process.stdout.readline() == "started\n"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and count_indexed(home) < 20:
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=30)
    kept = count_indexed(home)
    assert 20 <= kept < 180
    assert list((home / "index").glob("*.sqlite")) == []  # nothing that could be taken for a finished index
    seen = examined(monkeypatch)
    assert len(scan(folder, home=home)) == 180
    assert len(seen) == 180 - kept


def count_indexed(home):
    for path in (home / "index").glob("*.sqlite.part"):
        with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(path)) as database:
            return database.execute("SELECT count(*) FROM image").fetchone()[0]
    return 0


def test_two_scans_at_once_agree_and_share_the_work(tmp_path):
    folder, home = write_classes(tmp_path / "a", count=20), tmp_path / "cache"
    started = time.monotonic()
    both = [slow_scan(folder, home) for _ in range(2)]
    for process in both:
        assert process.communicate(timeout=60)[0] == "started\nfinished\n"
    assert time.monotonic() - started < 60
    assert len(scan(folder, home=home)) == 60


def test_a_damaged_index_is_made_again(renders, tmp_path):
    path = scan(renders, home=tmp_path).path
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xa5" * 6000)
    assert len(scan(renders, home=tmp_path)) == 36
    path.write_bytes(b"no database")
    assert len(scan(renders, home=tmp_path)) == 36
    path.with_name(path.name + ".part").write_bytes(b"no database")  # of a scan that was killed with its machine
    assert len(scan(renders, home=tmp_path)) == 36


def test_an_index_that_cannot_be_written_says_what_to_do(renders, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Set WEIGHBRIDGE_CACHE to another folder"):
        scan(renders, home=tmp_path / "file")


# ---- whatever comes ----


def test_two_thousand_mutated_images_are_accounted_for_and_decode_or_say_why(tmp_path):
    random = np.random.default_rng(int(os.environ.get("WEIGHBRIDGE_TEST_SEED", "0")))
    originals = [content for content, _, _ in odd_files().values()]
    originals += [encoded(picture(), "JPEG"), encoded(picture(), "PNG"), encoded(picture(), "WEBP")]
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(2100):
        content = originals[number % len(originals)]
        for _ in range(int(random.integers(1, 4))):
            content = mutated(content, random) or b"\0"
        (folder / f"{number:04}{random.choice(['.jpg', '.png', '.tif', '.tga', '.dat'])}").write_bytes(content)
    index = scan(folder)
    assert sum(index.tally.values()) == 2100
    assert index.tally["quarantined"] > 300
    assert index.tally["used"] > 300
    for rejected in index.rejected("quarantined", "ignored"):
        assert rejected.reason
    for place in range(len(index)):
        with contextlib.suppress(Unusable):
            assert decode_image(index.read(place), size=16, channels=3, fit="crop").shape == (16, 16, 3)


def test_a_scan_of_hostile_files_keeps_below_a_gibibyte(tmp_path):
    """Images just below the pixel limit in the modes that take most memory, all at once, in a process of its own."""
    side = 9400
    black = Image.new("L", (side, side))
    grey = encoded(black, "PNG", compress_level=1)
    folder = write_files(tmp_path / "a", {"grey.png": grey, "bomb.png": png_claiming(200_000, 200_000)})
    black.convert("RGBA").save(folder / "alpha.png", compress_level=1)
    black.convert("RGB").save(folder / "plain.jpg", progressive=True)
    black.convert("CMYK").save(folder / "cmyk.jpg", progressive=True)
    Image.fromarray(np.zeros((side, side), dtype=np.uint16)).save(folder / "wide.png", compress_level=1)
    Image.fromarray(np.zeros((side, side), dtype=np.float32)).save(folder / "float.tif", compression="tiff_deflate")
    code = (
        "import re, sys\nfrom pathlib import Path\nfrom weighbridge.data.index import scan\n"
        "index = scan(Path(sys.argv[1]), home=Path(sys.argv[2]))\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]\n"
        "print(index.tally['used'], index.tally['quarantined'], peak)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, "-c", code, str(folder), str(tmp_path / "cache")]
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=240, check=True)
    used, quarantined, peak = map(int, done.stdout.split())
    assert (used, quarantined) == (6, 1)
    assert peak < 2**20  # kilobytes
    shutil.rmtree(folder)


def test_searching_many_files_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("weighbridge.data.index._TOLD_EVERY", 2)
    write_files(tmp_path / "a", {f"{k}.png": encoded(picture(seed=k), "PNG") for k in range(5)})
    told = []
    scan(tmp_path / "a", progress=lambda done, total: told.append((done, total)))
    assert told[:3] == [(2, 0), (4, 0), (5, 5)]
    assert told[-1] == (5, 5)
