"""One image file to uint8 pixels, whatever it is called and however its pixels are stored.

What becomes of which kind of file is a table in docs/data.md; the reasons given here are what a user reads there.
"""

__all__ = [
    "FILE_LIMIT",
    "IMAGE_SUFFIXES",
    "PIXEL_LIMIT",
    "THIRSTY_LIMIT",
    "THUMBNAIL",
    "Facts",
    "Unusable",
    "decode_upright",
    "examine",
    "looks_like_image",
    "open_full",
]

import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from weighbridge.errors import DataError

Pixels = NDArray[np.uint8]

PIXEL_LIMIT = 89_478_485  # read from the header: a small file can claim more than there is memory. Pillow's own limit
THIRSTY_LIMIT = 40_000_000  # of formats whose decoders take some 18 bytes a pixel
FILE_LIMIT = 512 * 2**20  # bytes: more than the largest image within the pixel limit needs
THUMBNAIL = 8  # side in pixels of the small picture that an index keeps of every image
IMAGE_SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".heic",
        ".heif",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".mpo",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    }
)

# What is tried on a file. Others that Pillow knows are left out: .eps, for one, would start another program.
_PLUGINS = (
    *(JpegImagePlugin, PngImagePlugin, WebPImagePlugin, GifImagePlugin, BmpImagePlugin, TiffImagePlugin),
    *(PpmImagePlugin, AvifImagePlugin, Jpeg2KImagePlugin, TgaImagePlugin),
)
_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000"]
_THIRSTY = ("AVIF", "HEIF", "JPEG2000", "WEBP")
_SUFFIXES_OF = {
    "AVIF": {".avif"},
    "BMP": {".bmp"},
    "GIF": {".gif"},
    "HEIF": {".heic", ".heif"},
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "JPEG2000": {".jp2"},
    "MPO": {".jpg", ".jpeg", ".mpo"},
    "PNG": {".png"},
    "PPM": {".ppm", ".pgm", ".pnm", ".pbm"},
    "TGA": {".tga"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
}
try:
    import pillow_heif  # type: ignore[import-not-found, import-untyped, unused-ignore]
except ImportError:
    pass
else:
    pillow_heif.register_heif_opener()
    _FORMATS.append("HEIF")

_LARGE = 16_000_000  # pixels: from here on images are decoded one at a time and shrunk in strips
_STRIP = 2**20  # pixels
_one_large_image = threading.Lock()
_PAPER = (255, 255, 255)  # what shows through transparency, as in a browser
_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Unusable(DataError):  # noqa: N818 (it names what the file is)
    """A file that cannot be used as an image.

    Args:
        name: the file.
        reason: why, in a few words.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"'{name}' cannot be read as an image ({reason}). Replace it or remove it")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Facts:
    """What an index keeps of an image.

    Attributes:
        width, height: in pixels, as displayed: EXIF orientation applied.
        mode: Pillow's name for how the pixels are stored, such as RGB, L, P, CMYK, I;16, RGBA.
        orientation: of EXIF, 1 to 8; 1 is upright.
        quality: sum of the JPEG quantisation table, small for fine; 0 for other formats.
        remarks: what was put right, from `animated`, `wrong extension`.
        difference_hash: 64 bits, each saying whether brightness rises from one of 9 x 8 cells to the next on its right.
        thumbnail: (8, 8, 3) uint8 as bytes.
    """

    format: str
    width: int
    height: int
    mode: str
    orientation: int
    quality: int
    remarks: tuple[str, ...]
    difference_hash: int
    thumbnail: bytes


def looks_like_image(path: Path) -> bool:
    """Whether a file is an image by its content; its name is not asked."""
    try:
        with _quiet, Image.open(path, formats=_FORMATS):
            return True
    except Exception:  # whatever else Pillow's header readers raise on bytes that are not theirs
        return False


def decode_upright(source: Path | bytes, *, channels: Literal[1, 3], least: int | None, name: str = "") -> Pixels:
    """Read, flatten and turn upright.

    EXIF orientation is applied; transparency is laid over white; palettes, CMYK and 1-bit images are converted; 16-bit
    grey becomes 8-bit by value / 257, float grey by value * 255 if all of it lies in [0, 1] and as it is otherwise;
    of an animation the first frame counts.

    Args:
        source: a file, or what stands in one.
        channels: 1 for grey, 3 for RGB.
        least: large images may come smaller, as long as both sides keep this many pixels; None: as large as they are.
        name: what errors call bytes.

    Returns:
        (H, W, channels) uint8.

    Raises:
        Unusable: if the file is damaged, is no image, or claims more than `PIXEL_LIMIT` pixels.
    """
    with _opened(source, name) as image:
        if least:
            image.draft(None, (least, least))  # a JPEG can be decoded at a fraction of its size
        with _alone_if_large(image):
            upright = _upright(image, channels, least=least)
    pixels = np.array(upright, dtype=np.uint8)
    return pixels.reshape(upright.height, upright.width, channels)


def open_full(source: Path | bytes, *, name: str = "") -> Image.Image:
    """The whole image upright in RGB, 8 bits a channel, under the same rules as `decode_upright`.

    Raises:
        Unusable: as `decode_upright`.
    """
    with _opened(source, name) as image, _alone_if_large(image):
        return _upright(image, 3, least=None)


def examine(source: Path | bytes, *, name: str) -> Facts:
    """Read the header, decode all of it at a small scale, and say what it is.

    Args:
        name: the file's name, whose extension is compared with the content.

    Raises:
        Unusable: as `decode_upright`.
    """
    with _opened(source, name) as image:
        kind, mode = image.format or "", image.mode
        animated = bool(getattr(image, "is_animated", False)) and kind != "MPO"  # phones keep a second view in an MPO
        width, height = image.size
        tables = getattr(image, "quantization", None)
        quality = sum(tables[0]) if tables else 0
        image.draft(None, (64, 64))
        with _alone_if_large(image):
            small = _upright(image, 3, least=64)
            orientation = _orientation(image)
    if orientation >= 5:
        width, height = height, width
    suffix = Path(name).suffix.lower()
    misnamed = suffix in IMAGE_SUFFIXES and suffix not in _SUFFIXES_OF.get(kind, {suffix})
    remarks = [word for word, holds in (("animated", animated), ("wrong extension", misnamed)) if holds]
    thumbnail = small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes()
    bits = _difference_hash(small)
    return Facts(kind, width, height, mode, orientation, quality, tuple(remarks), bits, thumbnail)


# ---- opening -------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[Image.Image]:
    """An image whose header is read and whose limits are checked; whatever goes wrong inside becomes Unusable."""
    name = name or (str(source) if isinstance(source, Path) else "image")
    try:
        length = _length(source, name)
        if length > FILE_LIMIT:
            raise Unusable(name, f"the file has {length:,} bytes, more than the limit of {FILE_LIMIT:,}")
        if not length:
            raise Unusable(name, "the file is empty")
        formats = [*_FORMATS, "TGA"] if name.lower().endswith(".tga") else _FORMATS  # TGA has no mark to be known by
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with _quiet, Image.open(file, formats=formats) as image:
            limit = THIRSTY_LIMIT if image.format in _THIRSTY else PIXEL_LIMIT
            if image.width * image.height > limit:
                claimed = f"claims {image.width} x {image.height} pixels, more than the limit of {limit:,}"
                raise Unusable(name, claimed)
            yield image
    except Unusable:
        raise
    except UnidentifiedImageError as error:
        raise Unusable(name, _what_else(source)) from error
    except Image.DecompressionBombError as error:
        raise Unusable(name, f"claims more pixels than twice the limit of {PIXEL_LIMIT:,}") from error
    except Exception as error:  # Pillow's decoders raise whatever their formats provoke
        raise Unusable(name, _in_words(error)) from error


def _length(source: Path | bytes, name: str) -> int:
    if isinstance(source, bytes):
        return len(source)
    facts = source.stat()
    if not stat.S_ISREG(facts.st_mode):  # opening a pipe would wait for ever
        raise Unusable(name, "not a regular file")
    return facts.st_size


def _what_else(source: Path | bytes) -> str:
    if isinstance(source, bytes):
        start = source[:16]
    else:
        with source.open("rb") as file:
            start = file.read(16)
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"hevc", b"msf1"):
        return "a HEIC photo, which needs the package pillow-heif; or export it as JPEG"
    return "not an image"


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    text = str(error).strip().splitlines()
    if not text or len(text[0]) > 200:
        return type(error).__name__
    return "the file is truncated" if "truncated" in text[0].lower() else text[0]


@contextmanager
def _alone_if_large(image: Image.Image) -> Iterator[None]:
    if image.width * image.height < _LARGE:
        yield
    else:
        with _one_large_image:
            yield


class _Quiet:
    """Pillow's warnings about palettes, truncated tags and large images are answered here, not passed on.

    Python's own filter context is not made for threads: the first to come switches it on, the last to go off.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_quiet = _Quiet()


# ---- pixels --------------------------------------------------------------------------------------------------------


def _upright(image: Image.Image, channels: Literal[1, 3], *, least: int | None) -> Image.Image:
    """Flattened to L or RGB and turned as EXIF says.

    Args:
        least: a large image may be shrunk by a whole factor as long as both sides keep this many pixels; None: never.
    """
    image.load()
    factor = min(image.size) // least if least else 1
    if factor >= 2 and image.width * image.height >= _LARGE:
        flat = _shrunk_in_strips(image, channels, factor)
    else:
        flat = _flatten(image, channels, _float_scale(image))
    turn = _UPRIGHT.get(_orientation(image))
    return flat if turn is None else flat.transpose(turn)


def _shrunk_in_strips(image: Image.Image, channels: Literal[1, 3], factor: int) -> Image.Image:
    """Converting a large image as a whole would take several times its memory; a strip at a time takes none."""
    scale = _float_scale(image)
    out = Image.new("L" if channels == 1 else "RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, strip in _strips(image, factor):
        out.paste(_flatten(strip, channels, scale).reduce(factor), (0, top // factor))
    return out


def _strips(image: Image.Image, factor: int) -> Iterator[tuple[int, Image.Image]]:
    """(first row, some rows): about a million pixels, a multiple of the factor but for the last."""
    rows = factor * max(1, _STRIP // (image.width * factor))
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        strip.info = image.info  # transparency of a palette
        yield top, strip


def _flatten(image: Image.Image, channels: Literal[1, 3], scale: float) -> Image.Image:
    """Any mode to L or RGB."""
    mode = "L" if channels == 1 else "RGB"
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bit(np.asarray(image))).convert(mode)
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=255.0, neginf=0.0)
        return Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, (*_PAPER, 255))
        return Image.alpha_composite(paper, rgba).convert(mode)
    return image.convert(mode)


def _float_scale(image: Image.Image) -> float:
    """255 where a float image keeps to [0, 1]."""
    if image.mode != "F":
        return 1.0
    parts = (np.nan_to_num(np.asarray(strip)) for _, strip in _strips(image, 1))
    return 255.0 if all(part.min() >= 0.0 and part.max() <= 1.0 for part in parts) else 1.0


def _eight_bit(values: NDArray[np.generic]) -> Pixels:
    """16-bit grey to 8-bit. Pillow's own conversion cuts everything above 255."""
    wide = values.astype(np.int64).clip(0, 65_535)
    return ((wide + 128) // 257).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        turned = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF does not make a broken image
        return 1
    return turned if isinstance(turned, int) and 1 <= turned <= 8 else 1


def _difference_hash(image: Image.Image) -> int:
    cells = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)  # (8, 9)
    bits = np.packbits(cells[:, 1:] > cells[:, :-1])
    return int.from_bytes(bits.tobytes(), "big", signed=True)  # signed: what SQLite stores
