"""One image file to uint8 pixels, whatever it is called and however its pixels are stored.

What becomes of which kind of file is a table in docs/guides/data.md. The reasons given here are those that stand there.
"""

__all__ = [
    "DECODER_LIMIT",
    "FILE_LIMIT",
    "IMAGE_SUFFIXES",
    "PIXEL_LIMIT",
    "THUMBNAIL",
    "WHOLE_FILE_LIMIT",
    "Facts",
    "Unusable",
    "decode_upright",
    "examine",
    "glance",
    "looks_like_image",
    "open_full",
]

import io
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TgaImagePlugin import TgaImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from weighbridge.errors import DataError

Pixels = NDArray[np.uint8]
_T = TypeVar("_T")

PIXEL_LIMIT = 89_478_485  # read from the header: a small file can claim more than there is memory. Pillow's own limit
DECODER_LIMIT = 800_000_000  # bytes that a decoder may take; 40 or 80 million pixels of the formats below
FILE_LIMIT = 384 * 2**20  # bytes: more than four channels at the pixel limit need
WHOLE_FILE_LIMIT = 128 * 2**20  # bytes, of formats that are read as a whole before their header is known
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
_READERS = (
    *(JpegImageFile, PngImageFile, WebPImageFile, GifImageFile, BmpImageFile, TiffImageFile),
    *(PpmImageFile, AvifImageFile, Jpeg2KImageFile),
)
_FORMATS = [str(reader.format) for reader in _READERS]
_ALSO_TGA = [*_FORMATS, str(TgaImageFile.format)]  # for files called so: TGA has no mark to be known by
_DECODERS_TAKE = {"AVIF": 10, "HEIF": 10, "JPEG2000": 20, "WEBP": 20}  # bytes a pixel, where it is more than pixels
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

_HEIC = "a HEIC photo: install the package pillow-heif, or export it as JPEG"
_LARGE = 16_000_000  # pixels: from here on images are converted in strips
_STRIP = 2**20  # pixels
_GLANCE = 64  # pixels of the smaller side at which a scan looks at images
_LONG = 16 * 2**20  # bytes: shorter files may be read side by side
_ROOM = 512 * 2**20  # bytes that all images being decoded may take together; a larger one is decoded alone
_BLOCK = 64 * 2**20  # bytes that Pillow asks for at once
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
        lasting: whether it stays so until the file changes; not so for a missing right, package or memory.
    """

    def __init__(self, name: str, reason: str, *, lasting: bool = True) -> None:
        super().__init__(f"'{name}' cannot be read as an image ({reason}). Replace it or remove it")
        self.reason, self.lasting = reason, lasting


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
        with _no_warnings, Image.open(path, formats=_FORMATS):
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
    upright = _work_on(source, name, least, lambda image: _upright(image, channels, least=least))
    pixels = np.array(upright, dtype=np.uint8)
    return pixels.reshape(upright.height, upright.width, channels)


def open_full(source: Path | bytes, *, name: str = "") -> Image.Image:
    """The whole image upright in RGB, 8 bits a channel, under the same rules as `decode_upright`.

    Raises:
        Unusable: as `decode_upright`.
    """
    return _work_on(source, name, None, lambda image: _upright(image, 3, least=None))


def examine(source: Path | bytes, *, name: str) -> Facts:
    """Read the header, decode all of it at a small scale, and say what it is.

    Args:
        name: the file's name, whose extension is compared with the content.

    Raises:
        Unusable: as `decode_upright`.
    """
    return _work_on(source, name, _GLANCE, lambda image: _facts(image, name))


def glance(image: Image.Image) -> tuple[int, bytes]:
    """Difference hash and thumbnail of an image that is open, as in `Facts`."""
    small = _upright(image, 3, least=_GLANCE)
    return _difference_hash(small), small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes()


# ---- opening -------------------------------------------------------------------------------------------------------


def _work_on(source: Path | bytes, name: str, least: int | None, work: Callable[[Image.Image], _T]) -> _T:
    """What `work` makes of an image that is opened, within its limits, and sure of the memory it needs.

    Args:
        least: as in `decode_upright`.

    Raises:
        Unusable: for whatever goes wrong.
    """
    name = name or (str(source) if isinstance(source, Path) else "image")
    try:
        read_whole = _check_length(source, name)
        with _one_whole_file if read_whole else nullcontext(), _room.share() as take:
            return _opened(source, name, least, take, work)
    except Unusable:
        raise
    except UnidentifiedImageError as error:
        heic = _is_heic(source)
        raise Unusable(name, _HEIC if heic else "not an image", lasting=not heic) from error
    except Image.DecompressionBombError as error:
        raise Unusable(name, f"its header claims more than twice the limit of {PIXEL_LIMIT:,} pixels") from error
    except Exception as error:  # Pillow's decoders raise whatever their formats provoke
        outside = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None)
        raise Unusable(name, _in_words(error), lasting=not outside) from error


def _opened(
    source: Path | bytes,
    name: str,
    least: int | None,
    take: Callable[[int], None],
    work: Callable[[Image.Image], _T],
) -> _T:
    """A function of its own, so that image and decoder are gone when the memory they took is given back."""
    formats = _ALSO_TGA if name.lower().endswith(".tga") else _FORMATS
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with _no_warnings, Image.open(file, formats=formats) as image:
        limit = min(PIXEL_LIMIT, DECODER_LIMIT // _DECODERS_TAKE.get(image.format or "", 1))
        if image.width * image.height > limit:
            raise Unusable(
                name, f"its header claims {image.width} x {image.height} pixels, more than the limit of {limit:,}"
            )
        take(_need(image, least))
        return work(image)


def _check_length(source: Path | bytes, name: str) -> bool:
    """Whether it is a large file that will be read as a whole, before its header is known."""
    if isinstance(source, bytes):
        length = len(source)
    else:
        facts = source.stat()
        if not stat.S_ISREG(facts.st_mode):  # opening a pipe would wait for ever
            raise Unusable(name, "not a regular file")
        length = facts.st_size
    if not length:
        raise Unusable(name, "the file is empty")
    if length < _LONG:
        return False
    start = _start(source)
    whole = start[:4] == b"RIFF" or start[4:8] in (b"ftyp", b"jP  ")
    limit = WHOLE_FILE_LIMIT if whole else FILE_LIMIT
    if length > limit:
        raise Unusable(name, f"the file has {length:,} bytes, more than the limit of {limit:,}")
    return whole


def _start(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:16]
    with source.open("rb") as file:
        return file.read(16)


def _is_heic(source: Path | bytes) -> bool:
    start = _start(source)
    return start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"hevc", b"msf1")


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    text = str(error).strip().splitlines()
    if not text or len(text[0]) > 200:
        return type(error).__name__
    return "the file is truncated" if "truncated" in text[0].lower() else text[0]


def _need(image: Image.Image, least: int | None) -> int:
    """Bytes that reading and flattening will take at most: measured, and rounded up (benchmarks/data.py hostile)."""
    whole = image.width * image.height
    if image.format in _DECODERS_TAKE:
        return _DECODERS_TAKE[image.format] * whole
    coefficients = 2 * len(image.getbands()) * whole if image.info.get("progressive") else 0  # libjpeg keeps them all
    shrink = max(1, min(image.size) // least) if least and image.format in ("JPEG", "MPO") else 1
    pixels = whole >> 2 * min(3, shrink.bit_length() - 1)  # what `draft` will leave of them
    plain = pixels >= _LARGE or (image.mode in ("1", "L", "P", "RGB", "CMYK") and not image.has_transparency_data)
    flattening = 9 if plain else 21
    return coefficients + flattening * pixels


class _Room:
    """Bytes that threads take before they decode, and give back; one that wants more than there is gets it alone."""

    def __init__(self, size: int) -> None:
        self._size, self._used = size, 0
        self._changed = threading.Condition()

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """A function that takes a number of bytes, at most once; they are given back at the end."""
        taken = 0

        def take(wanted: int) -> None:
            nonlocal taken
            with self._changed:
                self._changed.wait_for(lambda: not self._used or self._used + wanted <= self._size)
                self._used, taken = self._used + wanted, wanted

        try:
            yield take
        finally:
            with self._changed:
                self._used -= taken
                self._changed.notify_all()


_room = _Room(_ROOM)
_one_whole_file = threading.Lock()
Image.core.set_block_size(_BLOCK)  # type: ignore[attr-defined, unused-ignore]  # freed at once: malloc keeps smaller ones


class _NoWarnings:
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


_no_warnings = _NoWarnings()


# ---- pixels --------------------------------------------------------------------------------------------------------


def _upright(image: Image.Image, channels: Literal[1, 3], *, least: int | None) -> Image.Image:
    """Flattened to L or RGB and turned as EXIF says.

    Args:
        least: a large image may be shrunk by a whole factor as long as both sides keep this many pixels; None: never.
    """
    if least:
        image.draft(None, (least, least))  # a JPEG can be decoded at a fraction of its size
    image.load()
    if image.width * image.height >= _LARGE:
        flat = _in_strips(image, channels, max(1, min(image.size) // least) if least else 1)
    else:
        flat = _flatten(image, channels, _float_scale(image))
    turn = _UPRIGHT.get(_orientation(image))
    return flat if turn is None else flat.transpose(turn)


def _in_strips(image: Image.Image, channels: Literal[1, 3], factor: int) -> Image.Image:
    """Flattened, and shrunk by a whole factor: a strip at a time, since conversions want several times the memory."""
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


def _facts(image: Image.Image, name: str) -> Facts:
    kind, mode, (width, height) = image.format or "", image.mode, image.size
    animated = bool(getattr(image, "is_animated", False)) and kind != "MPO"  # phones keep a second view in an MPO
    tables = getattr(image, "quantization", None)
    quality = sum(tables[0]) if tables else 0
    suffix = Path(name).suffix.lower()
    misnamed = suffix in IMAGE_SUFFIXES and suffix not in _SUFFIXES_OF.get(kind, {suffix})
    remarks = [word for word, holds in (("animated", animated), ("wrong extension", misnamed)) if holds]
    difference_hash, thumbnail = glance(image)
    orientation = _orientation(image)  # only now: asked before, it would read a broken PNG and keep its error to itself
    if orientation >= 5:
        width, height = height, width
    return Facts(kind, width, height, mode, orientation, quality, tuple(remarks), difference_hash, thumbnail)


def _difference_hash(image: Image.Image) -> int:
    cells = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)  # (8, 9)
    bits = np.packbits(cells[:, 1:] > cells[:, :-1])
    return int.from_bytes(bits.tobytes(), "big", signed=True)  # signed: what SQLite stores
