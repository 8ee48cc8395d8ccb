"""Metadata, whole, large or broken, costs no pixel; what is missing of the pixels is refused."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, features
from PIL.PngImagePlugin import PngInfo

from ddcodec.errors import SourceError
from ddcodec.sources.images import decode
from ddcodec.sources.metadata import without_metadata

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
XMP = b"<x:xmpmeta><rdf:Description tiff:Orientation='6'/></x:xmpmeta>".replace(b"'", b'"')


def stored(kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    lossless = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(PIXELS).save(out, kind, **lossless, **more)
    return out.getvalue()


def chunk(kind: bytes, value: bytes) -> bytes:
    return (
        struct.pack(">I", len(value)) + kind + value + struct.pack(">I", zlib.crc32(kind + value))
    )


def in_png(kind: bytes, value: bytes, at: int = 33) -> bytes:
    data = stored("PNG")
    return data[:at] + chunk(kind, value) + data[at:]


def in_jpeg(marker: int, value: bytes) -> bytes:
    data = stored("JPEG")
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(value) + 2) + value + data[2:]


def in_webp(kind: bytes, value: bytes) -> bytes:
    data = stored("WEBP", exif=b"Exif\0\0II*\0")
    more = data[12:] + kind + struct.pack("<I", len(value)) + value + b"\0" * (len(value) % 2)
    return b"RIFF" + struct.pack("<I", len(more) + 4) + b"WEBP" + more


def exif(value: int = 6, kind: int = 3, order: str = "<") -> bytes:
    entry = struct.pack(f"{order}HHI", 0x112, kind, 1) + struct.pack(f"{order}HH", value, 0)
    start = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + start + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


ODD = exif()[:14] + struct.pack("<H", 2) + struct.pack("<HHIi", 256, 9, 1, -5) + exif()[16:]
BROKEN = [b"", b"\0\x08\0\x02", exif()[:13], exif()[6:-9], b"II*\0\xff\xff\xff\xff", b"\xff" * 40]


@pytest.mark.parametrize("block", BROKEN)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_broken_exif_leaves_the_pixels(kind: str, block: bytes) -> None:
    made = {
        "PNG": in_png(b"eXIf", block),
        "JPEG": in_jpeg(0xE1, b"Exif\0\0" + block),
        "WEBP": in_webp(b"EXIF", block),
    }
    assert np.array_equal(decode("x", made[kind]), decode("x", stored(kind)))


@pytest.mark.parametrize(
    "data",
    [
        in_png(b"iCCP", b"icc\0\0" + zlib.compress(bytes(3 << 20))),
        in_png(b"iCCP", b"no end of the name"),
        in_png(b"zTXt", b"a\0\0" + zlib.compress(bytes(99 << 20))),
        in_png(b"iTXt", b"XML:com.adobe.xmp"),
        in_png(b"tEXt", b"\xff" * 100_000),
        in_png(b"gAMA", b"\0"),
        in_png(b"cHRM", b"\0" * 5),
        in_png(b"pHYs", b""),
        in_png(b"tRNS", b"\1"),
        in_png(b"acTL", b"\0"),
        in_png(b"teXt", b"a private chunk"),
        in_png(b"tEXt", b"a\0b")[:-4] + b"\0\0\0\0",
        stored("PNG").replace(b"IEND", b"IEND") + b"rubbish behind the end",
    ],
)
def test_no_other_chunk_of_a_png_costs_pixels(data: bytes) -> None:
    assert np.array_equal(decode("x", data), PIXELS)


def test_a_wrong_checksum_counts_where_pixels_are() -> None:
    damaged = bytearray(in_png(b"tEXt", b"a\0b"))
    damaged[33 + 8 + 3] ^= 1  # of the text
    assert np.array_equal(decode("x", bytes(damaged)), PIXELS)
    at = damaged.index(b"IDAT") + 6
    damaged[at] ^= 1
    with pytest.raises(SourceError, match=r"cannot be read as an image \(a checksum is wrong\)"):
        decode("x", bytes(damaged))


@pytest.mark.parametrize("marker", [*range(0xE0, 0xF0), 0xFE])
@pytest.mark.parametrize("block", [b"", b"\0", b"JFIF\0", b"Adobe", b"ICC_PROFILE\0", b"MPF\0x"])
def test_no_block_of_a_jpeg_costs_pixels(marker: int, block: bytes) -> None:
    assert np.array_equal(decode("x", in_jpeg(marker, block)), decode("x", stored("JPEG")))


@pytest.mark.parametrize("kind", [b"ICCP", b"XMP ", b"EXIF"])
def test_no_block_of_a_webp_costs_pixels(kind: bytes) -> None:
    assert np.array_equal(decode("x", in_webp(kind, b"\xff" * 3_000_001)), PIXELS)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_no_tag_of_a_tiff_that_tells_of_the_pixels_costs_them(compression: str) -> None:
    told = {270: "a text", 274: 6, 305: "b", 306: "c", 700: b"<xmp/>"}
    more = {"tiffinfo": told, "icc_profile": b"x" * 9, "dpi": (72, 72)}
    data = stored("TIFF", compression=compression, **more)
    expected = decode("x", data)
    assert expected.shape == (6, 8, 3)
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    for at in range(first + 2, first + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", data, at)
        for place, change in ((8, b"\xff\xff\xff\0"), (2, b"\x63\0"), (4, b"\xff\xff\xff\x7f"),
                              (4, bytes(4)), (2, b"\2\0"), (2, b"\n\0")):  # fmt: skip
            broken = bytearray(data)
            broken[at + place : at + place + len(change)] = change
            if tag in (270, 282, 283, 296, 305, 306, 700, 34675):
                assert np.array_equal(decode("x", bytes(broken)), expected), (tag, place)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_broken_exif_of_an_avif_costs_no_pixels() -> None:
    tags = Image.Exif()
    tags[270] = "a text"
    data = stored("AVIF", quality=100, exif=tags, icc_profile=b"x" * 99)
    at = data.index(b"MM\0*")
    broken = data[:at] + b"\xff" * 20 + data[at + 20 :]
    assert np.array_equal(decode("x", broken), decode("x", data))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_an_avif_is_turned_as_it_says() -> None:
    tags = Image.Exif()
    tags[0x112] = 6  # Pillow writes it as a turn of the image
    plain = decode("x", stored("AVIF", quality=100))
    assert np.array_equal(decode("x", stored("AVIF", quality=100, exif=tags)), np.rot90(plain, -1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_every_orientation_is_followed_as_pillow_does(kind: str, orientation: int) -> None:
    tags = Image.Exif()
    tags[0x112] = orientation
    data = stored(kind, exif=tags)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(decode("x", data), expected)
    assert decode("x", data).shape == ((8, 6, 3) if orientation < 5 else (6, 8, 3))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_orientation_is_found_beside_odd_tags_and_in_other_places(kind: str, order: str) -> None:
    block = exif(order=order) if order == ">" else ODD
    made = {
        "PNG": [
            in_png(b"eXIf", block[6:]),
            in_png(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
            in_png(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(
                b"\nexif\n   99\n" + exif().hex().encode())),
        ],
        "JPEG": [
            in_jpeg(0xE1, block),
            in_jpeg(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        ],
        "WEBP": [in_webp(b"EXIF", block), in_webp(b"XMP ", XMP)],
    }  # fmt: skip
    expected = np.rot90(decode("x", stored(kind)), -1)
    for data in made[kind]:
        assert np.array_equal(decode("x", data), expected)


@pytest.mark.parametrize("value", [0, 9, 700])
def test_an_orientation_that_does_not_exist_is_none(value: int) -> None:
    assert np.array_equal(decode("x", in_png(b"eXIf", exif(value)[6:])), PIXELS)


def test_colours_of_four_inks_are_read_as_before() -> None:
    out = io.BytesIO()
    Image.fromarray(PIXELS).convert("CMYK").save(out, "JPEG", quality=100, icc_profile=b"x" * 99)
    with Image.open(io.BytesIO(out.getvalue())) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(decode("x", out.getvalue()), expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_file_that_is_cut_within_its_pixels_is_refused(kind: str) -> None:
    text = PngInfo()
    text.add_text("a", "b" * 1000)
    data = stored(kind, **({"pnginfo": text} if kind == "PNG" else {"comment": b"c" * 99}))
    for share in (0.5, 0.75):
        with pytest.raises(SourceError, match=r"x: (cannot be read|is not an image)"):
            decode("x", data[: int(len(data) * share) if kind != "PNG" else -100])


@given(st.sampled_from(["PNG", "JPEG", "WEBP"]), st.integers(0, 400), st.binary(max_size=4))
def test_taking_metadata_out_of_damaged_files_ends(kind: str, at: int, patch: bytes) -> None:
    data = bytearray(stored(kind, exif=exif()))
    data[at : at + len(patch)] = patch
    try:
        plain, orientation = without_metadata(bytes(data))
    except ValueError:
        return
    assert 1 <= orientation <= 8
    assert len(plain) <= len(data) + 8
