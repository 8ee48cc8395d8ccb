"""Encoded images without their metadata, and the one thing in it that counts: which side is up.

Broken EXIF, colour profiles, comments or XMP must not cost good pixels, and no such block can show
in them: transparency is dropped, and colours are not managed. So these blocks are taken out before
Pillow sees the file. What cannot be followed is left as it is, for Pillow to judge.
"""

from __future__ import annotations

import re
import struct
import zlib

UPRIGHT = 1  # of the eight orientations that EXIF numbers
TAG = 0x0112
XMP_TAG = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")
PROFILE_BYTES = 1 << 20  # of an unpacked "raw profile"; EXIF has 64 KiB at most

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
JPEG_LEFT = (*range(0xE1, 0xEE), 0xEF, 0xFE)  # application blocks and comments
# Sizes, samples, coding and places of the pixels; all other tags of a TIFF only tell of them.
TIFF_KEPT = {
    *range(254, 260), 262, 266, 273, *range(277, 280), 284, 292, 293, 317, 320, *range(322, 326),
    332, 338, 339, 347, *range(512, 522), *range(529, 533),
}  # fmt: skip
# The entry of an item whose kind is EXIF: under another name nobody asks for it.
AVIF_ITEM = re.compile(rb"(infe[\2\3]\0\0[\0\1].{4}(?:.{2})?)Exif", re.DOTALL)
WEBP_LEFT = {b"ICCP", b"EXIF", b"XMP "}
WEBP_FLAGS = 0x20 | 0x08 | 0x04  # that announce these three


def without_metadata(data: bytes) -> tuple[bytes, int]:
    """Return an encoded image as its pixels need it, and the orientation that it stated, 1..8.

    PNG, JPEG, WebP, TIFF and AVIF; others come back as they are. Raises ValueError where pixels
    have a wrong checksum, which Pillow does not look at.
    """
    if data.startswith(PNG_START):
        return _png(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(data)
    if data[4:8] == b"ftyp":  # which side is up an AVIF says by its own means, not by EXIF
        return AVIF_ITEM.sub(rb"\1skip", data), UPRIGHT
    return data, UPRIGHT


def exif_orientation(block: bytes) -> int:
    """Return the orientation in an EXIF block, 1..8; 1 where it holds none that makes sense."""
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    try:
        if order is None:
            return UPRIGHT
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, first)
        for at in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", block, at)
            if tag == TAG:
                form = {1: "B", 3: "H", 4: "I"}.get(kind, "H")
                (value,) = struct.unpack_from(order + form, block, at + 8)
                return value if 1 <= value <= 8 else UPRIGHT
    except struct.error:  # it points out of itself
        pass
    return UPRIGHT


def _xmp_orientation(block: bytes) -> int:
    found = XMP_TAG.search(block)
    return int(found[1]) if found else UPRIGHT


def _png(data: bytes) -> tuple[bytes, int]:
    kept, at, exif, other = [data[:8]], 8, UPRIGHT, UPRIGHT
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 12 + length
        if not kind.isalpha() or (end > len(data) and kind in PNG_KEPT):
            kept.append(data[at:])  # cut short or damaged
            break
        content = data[at + 8 : end - 4]
        # An ancillary chunk, which has a small first letter, is one that pixels do not need.
        if kind in PNG_KEPT or kind[:1].isupper():
            if kind != b"IEND" and zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(
                data[end - 4 : end]
            ):
                raise ValueError("a checksum is wrong")
            kept.append(data[at:end])
        elif kind == b"eXIf":
            exif = exif_orientation(content)
        elif kind == b"iTXt" and content.startswith(b"XML:com.adobe.xmp\0"):
            other = _xmp_orientation(content)
        elif kind == b"zTXt" and content.startswith(b"Raw profile type exif\0"):
            other = _raw_profile(content)
        if kind == b"IEND":
            break
        at = end
    return b"".join(kept), exif if exif != UPRIGHT else other


def _raw_profile(content: bytes) -> int:
    """Return the orientation in EXIF as ImageMagick put it into PNG: in digits, compressed."""
    try:
        text = zlib.decompressobj().decompress(content.split(b"\0", 1)[1][1:], PROFILE_BYTES)
        return exif_orientation(bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii")))
    except (ValueError, zlib.error):
        return UPRIGHT


def _jpeg(data: bytes) -> tuple[bytes, int]:
    kept, at, exif, other = [data[:2]], 2, UPRIGHT, UPRIGHT
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        # Pixels follow, or something without a length, or nothing any more.
        if marker in (0xDA, 0xD9, 0x01, *range(0xD0, 0xD9)) or end > len(data):
            break
        content = data[at + 4 : end]
        adobe = marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12
        jfif = marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 14
        if adobe or jfif or marker not in (0xE0, 0xEE, *JPEG_LEFT):
            kept.append(data[at:end])  # these two say in which colours the pixels are
        elif marker == 0xE1 and content.startswith(b"Exif\0\0"):
            exif = exif_orientation(content)
        elif marker == 0xE1 and content.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            other = _xmp_orientation(content)
        at = end
    kept.append(data[at:])
    return b"".join(kept), exif if exif != UPRIGHT else other


def _tiff(data: bytes) -> tuple[bytes, int]:
    """Leave out tags of the first image, in place, and all further images."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, first)
        places = range(first + 2, first + 2 + 12 * count, 12)
        tags = [struct.unpack_from(f"{order}H10x", data, at)[0] for at in places]
    except struct.error:
        return data, UPRIGHT
    kept = b"".join(
        data[at : at + 12] for at, tag in zip(places, tags, strict=True) if tag in TIFF_KEPT
    )
    block = struct.pack(f"{order}H", len(kept) // 12) + kept + bytes(4)
    return data[:first] + block + data[first + len(block) :], exif_orientation(data)


def _webp(data: bytes) -> tuple[bytes, int]:
    kept, at, exif, other = bytearray(), 12, UPRIGHT, UPRIGHT
    stated = 8 + int.from_bytes(data[4:8], "little")
    while at + 8 <= min(len(data), stated):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + length + length % 2
        content = data[at + 8 : at + 8 + length]
        if kind == b"EXIF":
            exif = exif_orientation(content)
        elif kind == b"XMP ":
            other = _xmp_orientation(content)
        if kind not in WEBP_LEFT:
            start = len(kept)
            kept += data[at:end]
            if kind == b"VP8X" and len(content) >= 10:
                kept[start + 8] &= 0xFF ^ WEBP_FLAGS
        at = end
    missing = max(0, stated - len(data))  # a file cut short must look so
    head = b"RIFF" + struct.pack("<I", len(kept) + 4 + missing) + b"WEBP"
    return head + bytes(kept), exif if exif != UPRIGHT else other
