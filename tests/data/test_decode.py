"""Every kind of image file comes out as the pixels a person would see."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.hostile import encoded, picture, write_files
from weighbridge.data import decode
from weighbridge.data.decode import Unusable
from weighbridge.data.index import scan
from weighbridge.data.squares import decode_image, fit_square
from weighbridge.errors import DataError


def corners(mode="RGB"):
    """16 x 16: red top left, green top right, blue bottom left, white bottom right."""
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:8, :8], pixels[:8, 8:], pixels[8:, :8], pixels[8:, 8:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), 255
    return Image.fromarray(pixels).convert(mode)


def read(path, *, size=16, channels=3, fit="crop"):
    return decode_image(path, size=size, channels=channels, fit=fit)


def assert_corners(pixels, tolerance=0):
    for (row, column), colour in {(3, 3): (255, 0, 0), (3, 12): (0, 255, 0), (12, 3): (0, 0, 255)}.items():
        assert np.abs(pixels[row, column].astype(int) - colour).max() <= tolerance


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.tga"])
def test_lossless_formats_come_out_exactly(tmp_path, name):
    corners().save(tmp_path / name)
    assert np.array_equal(read(tmp_path / name), np.asarray(corners()))


def test_jpeg_and_webp_come_out_nearly(tmp_path):
    corners().save(tmp_path / "a.jpg", quality=95)
    corners().save(tmp_path / "a.webp", quality=95)
    assert_corners(read(tmp_path / "a.jpg"), tolerance=40)
    assert_corners(read(tmp_path / "a.webp"), tolerance=40)


def test_palette_image_comes_out_in_its_colours(tmp_path):
    corners().quantize(8).save(tmp_path / "a.png")
    assert_corners(read(tmp_path / "a.png"))
    corners().quantize(8).save(tmp_path / "a.gif")
    assert_corners(read(tmp_path / "a.gif"))


def test_cmyk_image_comes_out_in_its_colours(tmp_path):
    corners("CMYK").save(tmp_path / "a.tif")
    assert_corners(read(tmp_path / "a.tif"))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_white_paper(tmp_path, mode):
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 8, 16))
    image.convert(mode).save(tmp_path / "a.png")
    pixels = read(tmp_path / "a.png")
    assert pixels[8, 3].tolist() == [0, 0, 0]
    assert pixels[8, 12].tolist() == [255, 255, 255]


def test_palette_with_a_transparent_colour_shows_white_paper(tmp_path):
    image = Image.new("P", (16, 16), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.paste(0, (0, 0, 8, 16))
    image.save(tmp_path / "a.png", transparency=0)
    pixels = read(tmp_path / "a.png")
    assert pixels[8, 3].tolist() == [255, 255, 255]
    assert pixels[8, 12].tolist() == [200, 0, 0]


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", channels=1)[:, :, 0].ravel().tolist() == list(range(256))


def test_sixteen_bit_grey_is_rounded_to_the_nearest_level(tmp_path):
    between = np.array([[128, 129, 65_280, 65_407]], dtype=np.uint16)  # by 257: 0.498, 0.502, 254.01, 254.502
    Image.fromarray(between).save(tmp_path / "a.png")
    assert decode.decode_upright(tmp_path / "a.png", channels=1, least=None).ravel().tolist() == [0, 1, 254, 255]


@pytest.mark.parametrize(("least", "scale", "top"), [(0.0, 1.0, 255), (0.0, 200.0, 200), (-0.5, 1.0, 1)])
def test_float_grey_is_taken_as_a_share_or_as_it_is(tmp_path, least, scale, top):
    ramp = (np.linspace(least, 1, 256).reshape(16, 16) * scale).astype(np.float32)
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    pixels = read(tmp_path / "a.tif", channels=1)
    assert (pixels.min(), pixels.max()) == (0, top)


def test_one_bit_image_is_black_and_white(tmp_path):
    Image.fromarray(np.tile([[True, False]], (16, 8))).save(tmp_path / "a.png")
    assert set(np.unique(read(tmp_path / "a.png"))) == {0, 255}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = corners()
    stored = image.transpose(undo[orientation]) if orientation in undo else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read(tmp_path / "a.png"), np.asarray(image))


def test_grey_and_colour_are_what_is_asked_for(tmp_path):
    corners("L").save(tmp_path / "grey.png")
    assert read(tmp_path / "grey.png").shape == (16, 16, 3)
    assert read(tmp_path / "grey.png", channels=1).shape == (16, 16, 1)


def test_a_file_is_known_by_its_content(tmp_path):
    corners().save(tmp_path / "photo", format="PNG")
    corners().save(tmp_path / "photo.txt", format="JPEG")
    (tmp_path / "notes.jpg").write_text("no image")
    assert decode.looks_like_image(tmp_path / "photo")
    assert decode.looks_like_image(tmp_path / "photo.txt")
    assert not decode.looks_like_image(tmp_path / "notes.jpg")
    assert_corners(read(tmp_path / "photo"))


def damaged(path: Path, kind: str) -> None:
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("hello")
    elif kind == "truncated":
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:2_000])


@pytest.mark.parametrize("kind", ["empty", "text", "truncated"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, kind):
    damaged(tmp_path / "a.png", kind)
    with pytest.raises(DataError, match=r"a\.png' cannot be read as an image \(.+\)\. Replace it or remove it"):
        read(tmp_path / "a.png")


def test_pixel_limit_is_read_from_the_header(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "PIXEL_LIMIT", 200)
    corners().save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"its header claims 16 x 16 pixels, more than the limit of 200"):
        read(tmp_path / "a.png")


def test_the_three_fits():
    bands = np.concatenate([np.zeros((8, 8)), np.full((8, 16), 255), np.zeros((8, 8))], 1).astype("u1")
    wide = torch.from_numpy(bands)[None]
    assert fit_square(wide, 8, "crop").mean() > 240  # the middle
    assert 110 < fit_square(wide, 8, "stretch").mean() < 145
    padded = fit_square(wide, 32, "pad")
    assert padded.shape == (32, 32, 1)
    assert padded[0, 0, 0] > 100  # filled with the mean of the border, not with black


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_quick_way_of_a_jpeg_gives_what_pillow_gives(tmp_path, mode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    write_files(tmp_path / "a", {"a.jpg": encoded(picture().convert(mode), "JPEG", exif=exif)})
    stored = scan(tmp_path / "a").read(0)
    channels = 3 if mode == "RGB" else 1
    for fit in ("crop", "stretch", "pad"):
        quick = decode_image(stored, size=20, channels=channels, fit=fit)
        plain = decode_image(tmp_path / "a" / "a.jpg", size=20, channels=channels, fit=fit)
        assert np.array_equal(quick, plain)


def test_a_jpeg_that_broke_after_the_scan_is_named(tmp_path):
    write_files(tmp_path / "a", {"a.jpg": encoded(picture(), "JPEG")})
    stored = scan(tmp_path / "a").read(0)
    (tmp_path / "a" / "a.jpg").write_bytes(b"\xff\xd8 broken")
    with pytest.raises(Unusable, match=r"a\.jpg' cannot be read as an image"):
        decode_image(stored, size=20, channels=3, fit="crop")


def test_images_that_need_more_memory_than_there_is_wait_for_each_other():
    room, held, most = decode._Room(100), [], []
    lock, together = threading.Lock(), threading.Barrier(2)

    def work(wanted):
        with room.share() as take:
            take(wanted)
            with lock:
                held.append(wanted)
                most.append(sum(held))
            if wanted == 50:
                together.wait(timeout=10)  # two halves do fit
            with lock:
                held.remove(wanted)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [50, 50, 70, 70, 300, 70, 300, 20]))
    assert max(most) == 300  # larger than the room, so alone
    assert all(total <= 100 or total == 300 for total in most)


def test_a_room_is_given_back_by_an_image_that_fails(tmp_path):
    damaged(tmp_path / "a.png", "truncated")
    for _ in range(2):
        with pytest.raises(Unusable):
            read(tmp_path / "a.png")
    assert decode._room._used == 0


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "JPEG2000"])
def test_formats_that_are_read_whole_may_have_shorter_files(tmp_path, kind):
    path = write_files(tmp_path, {"a": encoded(picture(), kind)}) / "a"
    with path.open("r+b") as file:
        file.truncate(decode.WHOLE_FILE_LIMIT + 1)
    with pytest.raises(Unusable, match=r"134,217,729 bytes, more than the limit of 134,217,728"):
        read(path)


def test_other_formats_may_have_longer_files(tmp_path):
    path = write_files(tmp_path, {"a": encoded(picture(), "BMP")}) / "a"
    with path.open("r+b") as file:
        file.truncate(decode.WHOLE_FILE_LIMIT + 1)
    assert read(path).shape[2] == 3
    with path.open("r+b") as file:
        file.truncate(decode.FILE_LIMIT + 1)
    with pytest.raises(Unusable, match=r"402,653,185 bytes, more than the limit of 402,653,184"):
        read(path)
