"""The JavaScript reader beside the package's: the same bits, the same numbers for damage."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import runpy
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from PIL import Image, features

from ddcodec.errors import InvalidFile, Unsupported
from ddcodec.format import Storage, read, read_manifest, to_bytes
from tests.helpers import vectors
from tests.helpers.hostile import Forgery
from tests.helpers.lic_files import lic_arrays, lic_manifest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "helpers" / "read_all.mjs"
RESULTS = sorted((ROOT / "examples" / "results").glob("*.ddset"))
FUZZ = runpy.run_path(str(ROOT / "tests" / "fuzz" / "fuzz_reader.py"))
OLDEST = 20  # version of Node
DEEP = ("resnet18", "mobilenetv2")  # labels of these take JavaScript a second


def node() -> str | None:
    found = shutil.which("node")
    if found is None:
        return None
    done = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    good = done.returncode == 0 and int(done.stdout[1:].split(".")[0]) >= OLDEST
    return found if good else None


NODE = node()
pytestmark = pytest.mark.skipif(
    NODE is None and not os.environ.get("NODE_REQUIRED"), reason=f"needs Node {OLDEST} or later"
)


def found_by_node(folder: Path) -> dict[str, Any]:
    """Return what the JavaScript reader finds in each file of a folder, by name."""
    assert NODE is not None, f"Node {OLDEST} or later is required"
    done = subprocess.run(
        [NODE, str(SCRIPT), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def expected(data: bytes) -> dict[str, Any]:
    """Return what a reader must find in a file, or how it must refuse it."""
    try:
        file = read(data)
    except InvalidFile as error:
        return {"code": error.code}
    except Unsupported:
        return {"code": "unsupported"}
    images, labels = vectors.samples_of(file)
    return {
        "tensors": {name: sha256(array.tobytes()) for name, array in file.arrays.items()},
        "samples": None if images is None else sha256(images.tobytes()),
        "labels": sha256(labels.tobytes()),
    }


def coders(path: Path) -> set[str]:
    return {spec.coder for spec in read_manifest(path)[0].tensors.values()}


def test_all_samples_and_labels_of_published_files_are_the_same() -> None:
    assert RESULTS
    found = found_by_node(RESULTS[0].parent)
    # Of AVIF the page has a browser to ask, Node.js has nobody.
    left = [path for path in RESULTS if "avif" in coders(path)]
    assert [found.pop(path.name)["code"] for path in left] == ["unsupported"] * len(left)
    assert found == {path.name: expected(path.read_bytes()) for path in RESULTS if path not in left}


def test_mutated_files_have_the_same_fate(tmp_path: Path) -> None:
    seeds = [
        path.read_bytes()
        for path in sorted((vectors.FOLDER / "valid").glob("*.ddset"))
        if not any(name in path.stem for name in DEEP)
    ]
    rng = random.Random(6)
    files = {f"{i}.ddset": FUZZ["mutated"](seeds, rng) for i in range(600)}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    found = found_by_node(tmp_path)
    for result in found.values():
        result.pop("message", None)
    wanted = {name: expected(data) for name, data in files.items()}
    for name, result in wanted.items():
        # It compares what all frames and pictures claim before it digests the first.
        claim = found[name].get("code")
        if result.get("code") == "DDS-E031" and claim in ("DDS-E021", "DDS-E025"):
            result["code"] = claim
    assert found == wanted
    codes = {result.get("code") for result in wanted.values()}
    assert {None, "DDS-E003", "DDS-E010", "DDS-E013", "DDS-E024", "DDS-E032"} <= codes


def pictures() -> dict[str, bytes]:
    """Return WebP pictures of many sizes, contents and settings by name."""
    rng = np.random.default_rng(8)
    out = {}
    for i in range(40):
        height, width = (int(n) for n in rng.integers(1, 100, 2))
        y, x = np.mgrid[:height, :width]
        waves = np.stack([np.sin(x / 7 + i), np.sin((x + y) / 9), np.cos(x * y / 300)], -1)
        noise = rng.normal(0, (0, 8, 40)[i % 3], waves.shape)
        picture = Image.fromarray((128 + 60 * waves + noise).clip(0, 255).astype(np.uint8))
        if i % 4 == 1:  # few colours, as palettes have
            picture = picture.quantize(int(rng.choice([2, 4, 16, 100]))).convert("RGB")
        data = io.BytesIO()
        quality, method = int(rng.integers(0, 101)), int(rng.integers(0, 7))
        picture.save(data, "WEBP", lossless=i % 2 == 1, quality=quality, method=method)
        out[f"{i}.webp"] = data.getvalue()
    return out


def test_webp_decodes_to_the_bits_of_libwebp(tmp_path: Path) -> None:
    files = pictures()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    wanted = {
        name: sha256(Image.open(io.BytesIO(data)).convert("RGBA").tobytes())
        for name, data in files.items()
    }
    assert found_by_node(tmp_path) == wanted


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_is_decoded_by_what_the_caller_gives(tmp_path: Path) -> None:
    manifest = lic_manifest()
    how = {"images": Storage(chunk=3, coder="avif"), "labels": Storage(chunk=3)}
    data = to_bytes(manifest, lic_arrays(manifest), how)[0]
    (tmp_path / "a.ddset").write_bytes(data)
    assert found_by_node(tmp_path)["a.ddset"]["code"] == "unsupported"
    forgery = Forgery.of(data)
    decoded = {}
    for name, entry in forgery.header.items():
        if name.startswith("images"):
            begin, end = entry["data_offsets"]
            piece = forgery.body[begin:end]
            picture = Image.open(io.BytesIO(piece)).convert("RGBA")
            path = tmp_path / f"{sha256(piece)}.rgba"
            decoded[path] = struct.pack("<II", *picture.size) + picture.tobytes()
            path.write_bytes(decoded[path])
    assert found_by_node(tmp_path) == {"a.ddset": expected(data)}
    narrower, shorter = lambda d: struct.pack("<I", 8) + d[4:], lambda d: d[:-4]
    for other in (narrower, shorter, lambda d: d[:-1] + b"\0"):
        for path, right in decoded.items():
            path.write_bytes(other(right))
        assert found_by_node(tmp_path)["a.ddset"]["code"] == "DDS-E025"


def frames() -> dict[str, tuple[bytes, bytes]]:
    """Return (frame, content) of all kinds of data, levels and sizes by name."""
    rng = np.random.default_rng(9)
    text = (ROOT / "spec" / "ddset-1.md").read_bytes()
    kinds = [
        lambda n: rng.integers(0, 256, n, np.uint8).tobytes(),
        lambda n: rng.geometric(0.2, n).clip(0, 255).astype(np.uint8).tobytes(),
        lambda n: b"\0" * n,
        lambda n: (text * (n // len(text) + 1))[:n],
        lambda n: np.cumsum(rng.normal(0, 1, n // 4 + 1)).astype("<f4").tobytes()[:n],
        lambda n: rng.integers(0, 2, n, np.uint8).tobytes(),
        lambda n: (b"abcabcabd" * n)[:n],
    ]
    out = {}
    for i in range(70):
        content = kinds[i % len(kinds)](int(2 ** rng.uniform(0, 18.5)))
        compressor = zstandard.ZstdCompressor(
            level=int(rng.integers(-5, 23)), write_content_size=True, write_checksum=i % 3 == 0
        )
        out[f"{i}.zst"] = compressor.compress(content), content
    return out


def test_zstandard_frames_decode_to_their_content(tmp_path: Path) -> None:
    files = frames()
    for name, (frame, content) in files.items():
        (tmp_path / name).write_bytes(struct.pack("<I", len(content)) + frame)
    assert found_by_node(tmp_path) == {name: sha256(c) for name, (_, c) in files.items()}


def slow_frame() -> tuple[bytes, int]:
    """Return a frame of 65,000 matches as long as can be, and the 128 KiB that it claims."""
    count = 65_000
    modes, codes = 0b01_01_01_00, bytes([0, 0, 52])  # one code each; 16 bits for each match
    head = bytes([0, 255]) + struct.pack("<H", count - 0x7F00) + bytes([modes]) + codes
    block = head + b"\xff" * (2 * count) + b"\1"
    header = struct.pack("<I", len(block) << 3 | 2 << 1 | 1)[:3]
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", 1 << 17) + header + block, 1 << 17


def endless_frame() -> tuple[bytes, int]:
    """Return a frame whose Huffman weights come from a state that takes no bits."""
    # Accuracy 5, 0 in 4 bits, and all 32 shares to the symbol 0, which are 63 in 6 bits.
    table = (63 << 4).to_bytes(2, "little")
    weights = table + b"\0\0\1"
    literals = 2 | 0 << 2 | 100 << 4 | (1 + len(weights) + 1) << 14
    block = struct.pack("<I", literals)[:3] + bytes([len(weights)]) + weights + b"\1" + b"\0"
    header = struct.pack("<I", len(block) << 3 | 2 << 1 | 1)[:3]
    return b"\x28\xb5\x2f\xfd\x20" + bytes([100]) + header + block, 100


@pytest.mark.parametrize("made", [slow_frame, endless_frame])
def test_frames_made_to_take_for_ever_are_refused(made: Any, tmp_path: Path) -> None:
    frame, size = made()
    with pytest.raises(zstandard.ZstdError):
        zstandard.ZstdDecompressor().decompress(frame)
    (tmp_path / "frame.zst").write_bytes(struct.pack("<I", size) + frame)
    assert found_by_node(tmp_path)["frame.zst"]["code"] == "DDS-E021"
