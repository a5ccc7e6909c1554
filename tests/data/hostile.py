"""Files as nobody would want them, made by the tests themselves."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def picture(width=40, height=30, *, seed=0):
    """A smooth colour picture."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_claiming(width, height):
    """A PNG whose header claims a size and whose data is a few bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def bad_files():
    """{name: (content, status, reason or a part of it)} of everything that cannot be used."""
    jpeg, png = encoded(picture(), "JPEG"), encoded(picture(), "PNG")
    broken = bytearray(png)
    broken[len(png) // 2] ^= 0xFF
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100
    return {
        "truncated.jpg": (jpeg[: len(jpeg) // 2], "quarantined", "truncated"),
        "truncated.png": (png[: len(png) // 2], "quarantined", "truncated"),
        "corrupt.png": (bytes(broken), "quarantined", ""),
        "only a header.jpg": (jpeg[:20], "quarantined", ""),
        "zero.jpg": (b"", "quarantined", "the file is empty"),
        "text.png": (b"this is a text that somebody called an image\n" * 9, "quarantined", "not an image"),
        "page.jpg": (b"<html><body>404</body></html>", "quarantined", "not an image"),
        "bomb.png": (
            png_claiming(50_000, 50_000),
            "quarantined",
            "its header claims more than twice the limit of 89,478,485 pixels",
        ),
        "slightly too large.png": (
            png_claiming(10_000, 9_000),
            "quarantined",
            "its header claims 10000 x 9000 pixels, more than",
        ),
        "large bomb.png": (png_claiming(2**31 - 1, 2**31 - 1), "quarantined", "pixels"),
        "no pixels.png": (png_claiming(0, 10), "quarantined", ""),
        "phone.heic": (heic, "quarantined", "HEIC"),
        "notes.txt": (b"mine", "ignored", "not an image"),
        "empty": (b"", "ignored", "not an image"),
        ".hidden.png": (png, "ignored", "hidden"),
        "Thumbs.db": (b"\0" * 50, "ignored", "hidden"),
        "drawing.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "ignored", "not an image"),
    }


def odd_files():
    """{name: (content, mode, remarks)} of everything that can be used although it is unusual."""
    image = picture()
    grey = image.convert("L")
    alpha = image.copy()
    alpha.putalpha(grey)
    wide = Image.fromarray(np.asarray(grey, dtype=np.uint16) * 257)
    share = Image.fromarray(np.asarray(grey, dtype=np.float32) / 255)
    frames = [picture(seed=k).quantize(16) for k in range(3)]
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "misnamed.png": (encoded(image, "JPEG"), "RGB", "wrong extension"),
        "no extension": (encoded(image, "PNG"), "RGB", ""),
        "animated.gif": (encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), "P", "animated"),
        "animated.webp": (encoded(image, "WEBP", save_all=True, append_images=[picture(seed=1)]), "RGB", "animated"),
        "animated.png": (encoded(image, "PNG", save_all=True, append_images=[picture(seed=1)]), "RGB", "animated"),
        "two views.mpo": (encoded(image, "MPO", save_all=True, append_images=[picture(seed=1)]), "RGB", ""),
        "cmyk.jpg": (encoded(image.convert("CMYK"), "JPEG"), "CMYK", ""),
        "sixteen bits.png": (encoded(wide, "PNG"), "I;16", ""),
        "float.tif": (encoded(share, "TIFF"), "F", ""),
        "palette.png": (encoded(image.quantize(16), "PNG"), "P", ""),
        "alpha.png": (encoded(alpha, "PNG"), "RGBA", ""),
        "grey alpha.png": (encoded(alpha.convert("LA"), "PNG"), "LA", ""),
        "one bit.png": (encoded(grey.convert("1"), "PNG"), "1", ""),
        "turned.jpg": (encoded(image, "JPEG", exif=turned), "RGB", ""),
        "progressive.jpg": (encoded(image, "JPEG", progressive=True), "RGB", ""),
        "plain.bmp": (encoded(image, "BMP"), "RGB", ""),
        "plain.jp2": (encoded(image, "JPEG2000"), "RGB", ""),
        "plain.avif": (encoded(image, "AVIF"), "RGB", ""),
        "plain.ppm": (encoded(image, "PPM"), "RGB", ""),
        "plain.tga": (encoded(image, "TGA"), "RGB", ""),
    }


def write_files(folder: Path, files) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content[0])
    return folder


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """The same bytes after an accident."""
    data = bytearray(content)
    accident = random.integers(6)
    start, length = int(random.integers(len(data))), int(random.integers(1, 40))
    if accident == 0:
        return bytes(data[:start])
    if accident == 1:
        for place in random.integers(len(data), size=int(random.integers(1, 12))):
            data[place] = int(random.integers(256))
    elif accident == 2:
        data[start : start + length] = bytes(length)
    elif accident == 3:
        data[start:start] = random.bytes(length)
    elif accident == 4:
        del data[start : start + length]
    else:  # in the header, where sizes and offsets stand
        for place in random.integers(min(64, len(data)), size=int(random.integers(1, 5))):
            data[place] = int(random.choice([0, 1, 127, 128, 255]))
    return bytes(data)
