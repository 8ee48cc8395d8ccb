"""Hostile files, each a small change of a valid one: name -> (code of the error, how to make it).

The same cases are tested in process and committed as vectors under spec/vectors/invalid.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

SPECIFICATION = Path(__file__).parents[2] / "spec" / "ddset-1.md"
CODES = set(re.findall(r"^\| (DDS-E\d+) ", SPECIFICATION.read_text(encoding="utf-8"), re.MULTILINE))


@dataclass
class Forgery:
    """A file taken apart: change any part, put it together again, right or wrong."""

    manifest: dict[str, Any]
    header: dict[str, Any]
    body: bytes
    text: str | None = None  # instead of the manifest as JSON
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, data: bytes) -> Forgery:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        text = header.pop("__metadata__")["ddset"]
        return cls(json.loads(text), header, data[8 + length :])

    def raw_header(self) -> bytes:
        text = self.text if self.text is not None else canonical(self.manifest)
        whole = {"__metadata__": {"ddset": text, **self.metadata}, **self.header}
        raw = canonical(whole).encode("utf-8", "surrogatepass")
        return raw + b" " * (-len(raw) % 8)

    def build(self) -> bytes:
        raw = self.raw_header()
        return len(raw).to_bytes(8, "little") + raw + self.body


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


Change = Callable[[Forgery], None]


def set_path(path: str, value: Any) -> Change:
    def change(f: Forgery) -> None:
        *parents, last = path.split("/")
        place: Any = f.manifest
        for parent in parents:
            place = place[parent]
        place[int(last) if isinstance(place, list) else last] = value

    return change


def drop(name: str) -> Change:
    def change(f: Forgery) -> None:
        del f.manifest["tensors"][name]

    return change


def set_header(name: str, **fields: Any) -> Change:
    return lambda f: f.header[name].update(fields)


FORGED: list[tuple[str, Change, str]] = [
    ("second metadata key", lambda f: f.metadata.update(more="x"), "DDS-E005"),
    ("manifest is a list", lambda f: setattr(f, "text", "[]"), "DDS-E010"),
    ("manifest is a number", lambda f: setattr(f, "text", "1"), "DDS-E010"),
    ("manifest with NaN", lambda f: setattr(f, "text", '{"a":NaN}'), "DDS-E003"),
    ("manifest with 1e999", lambda f: setattr(f, "text", '{"a":1e999}'), "DDS-E003"),
    ("duplicate key", lambda f: setattr(f, "text", '{"a":1,"a":1}'), "DDS-E003"),
    ("deep nesting", lambda f: setattr(f, "text", "[" * 40 + "]" * 40), "DDS-E003"),
    ("huge integer", lambda f: setattr(f, "text", '{"a":9007199254740993}'), "DDS-E003"),
    ("million digits", lambda f: setattr(f, "text", '{"a":' + "9" * 10**6 + "}"), "DDS-E003"),
    ("lone surrogate", lambda f: setattr(f, "text", '{"a":"\\ud800"}'), "DDS-E003"),
    ("white space", lambda f: setattr(f, "text", "{ }"), "DDS-E010"),
    ("unknown field", set_path("pickle", "gASV"), "DDS-E010"),
    ("spelled-out default", set_path("codec/version", 1), "DDS-E004"),
    ("float for an integer", set_path("recipe/steps", 10.0), "DDS-E010"),
    ("bool for an integer", set_path("recipe/steps", True), "DDS-E010"),
    ("missing recipe", lambda f: f.manifest.pop("recipe"), "DDS-E010"),
    ("module name in the recipe", set_path("recipe/loss", "os.system"), "DDS-E010"),
    ("escape sequence in a class", set_path("classes", ["\x1b[2J", "b", "c"]), "DDS-E011"),
    ("repeated class", set_path("classes", ["a", "a", "c"]), "DDS-E011"),
    ("no class", set_path("classes", []), "DDS-E011"),
    ("class index", set_path("order/cells", [0, 1, 3]), "DDS-E011"),
    ("class without a cell", set_path("order/cells", [0, 1, 1]), "DDS-E011"),
    ("unknown order rule", set_path("order/rule", "__import__"), "DDS-E011"),
    ("too few cells", set_path("order/cells", [0, 1]), "DDS-E011"),
    ("zero channels", set_path("image/channels", 0), "DDS-E010"),
    ("giant image", set_path("image/height", 2**40), "DDS-E010"),
    ("zero std", set_path("image/preprocessing/std", [0.0]), "DDS-E014"),
    ("many patches", set_path("patches/grid", [8000, 8000]), "DDS-E040"),
    ("negative patches", set_path("patches/grid", [-1, 2]), "DDS-E010"),
    ("other labels", set_path("labels", {"kind": "soft"}), "DDS-E014"),
    ("bits 9", set_path("tensors/poster/quantiser/bits", 9), "DDS-E020"),
    ("scale 0", set_path("tensors/poster/quantiser/scale", [0.0]), "DDS-E020"),
    ("scale -1", set_path("tensors/poster/quantiser/scale", [-1.0]), "DDS-E020"),
    ("scales for no channel", set_path("tensors/poster/quantiser/scale", [1, 1]), "DDS-E020"),
    ("shape with zero", set_path("tensors/poster/shape", [1, 0, 10]), "DDS-E006"),
    ("shape beyond memory", set_path("tensors/poster/shape", [1, 2**30, 2**30]), "DDS-E040"),
    ("a thousand dimensions", set_path("tensors/poster/shape", [1] * 1000), "DDS-E040"),
    ("unknown coder", set_path("tensors/poster/coder", "exec"), "DDS-E006"),
    ("chunk without digests", set_path("tensors/poster/chunk", 1), "DDS-E006"),
    ("path as a tensor name", lambda f: f.header.update({"../x": f.header["poster"]}), "DDS-E008"),
    ("empty tensor name", lambda f: f.header.update({"": f.header["poster"]}), "DDS-E008"),
    ("tensor that is not listed", lambda f: f.header.pop("labels"), "DDS-E007"),
    ("extra entry field", set_header("poster", more=1), "DDS-E006"),
    ("other dtype", set_header("poster", dtype="F64"), "DDS-E006"),
    ("offsets past the end", set_header("poster", data_offsets=[0, 2**40]), "DDS-E006"),
    ("negative offsets", set_header("poster", data_offsets=[-8, 8]), "DDS-E006"),
    ("content digest", set_path("content_digest", "0" * 64), "DDS-E032"),
    ("data digest", set_path("data_digest", "0" * 16), "DDS-E030"),
    ("digest in capitals", set_path("data_digest", "A" * 16), "DDS-E010"),
    ("later major", set_path("format/major", 2), "unsupported"),
    ("unknown codec", set_path("codec", {"name": "jpeg"}), "unsupported"),
    ("later codec version", set_path("codec", {"name": "podd", "version": 2}), "unsupported"),
]  # fmt: skip


def rewrite(name: str, payload: bytes) -> Change:
    """Replace a tensor's stored bytes, with offsets and digest of the data put right."""

    def change(f: Forgery) -> None:
        parts = {n: f.body[slice(*e["data_offsets"])] for n, e in f.header.items()}
        parts[name] = payload
        f.body, position = b"", 0
        for n in sorted(parts):
            end = position + len(parts[n])
            f.header[n] |= {"data_offsets": [position, end], "shape": [len(parts[n])]}
            f.body += parts[n]
            position = end
        f.manifest["data_digest"] = hashlib.sha256(f.body).hexdigest()[:16]

    return change


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def both(*changes: Change) -> Change:
    def change(f: Forgery) -> None:
        for part in changes:
            part(f)

    return change


def as_zstd(name: str, payload: bytes) -> Change:
    """Store a quantised tensor as ``payload``, called zstd."""
    return both(set_path(f"tensors/{name}/coder", "zstd"), rewrite(name, payload))


def raw_labels(fill: bytes) -> Change:
    """Store the labels as plain float32 numbers, all the same."""

    def change(f: Forgery) -> None:
        del f.manifest["tensors"]["labels"]["quantiser"]
        rewrite("labels", zstd(fill * 24))(f)

    return change


MEASURED = {"accuracy_mean": 0.5, "accuracy_std": 0.125, "nets": 8, "steps": 100, "test": "zoo",
            "test_count": 10}  # fmt: skip
ENTRY = {"network": "vit", "norm": "layer", "accuracy_mean": 0.25, "accuracy_std": 0.0,
         "steps": 200, "optimizer": "adam", "lr": 0.001}  # fmt: skip
SAME = {"network": "vit", "accuracy_mean": 0.25, "accuracy_std": 0.0}  # as the entry before
# name -> fields of an entry of a table; None leaves one out
TABLES: dict[str, dict[str, Any]] = {
    "over-one": {"accuracy_mean": 1.5},
    "below-zero": {"accuracy_std": -0.5},
    "of-a-thousand-letters": {"network": "n" * 1000},
    "with-an-escape": {"network": "vit\x1b[2J"},
    "of-no-name": {"network": ""},
    "without-a-norm": {"norm": None},
    "without-a-name": {"network": None},
    "of-half-a-step": {"steps": 0.5},
    "of-no-rate": {"lr": 0},
    "of-a-rate-of-text": {"lr": "high"},
    "that-are-not-own": {"own": False},
    "with-a-test-of-their-own": {"test": "another"},
    "of-a-tool-of-numbers": {"tool": 1},
    "with-nets-of-true": {"nets": True},
}


def table(**changes: Any) -> Change:
    """Record a table of one other network, with changes."""
    fields = {name: value for name, value in (ENTRY | changes).items() if value is not None}
    return set_path("measured", [MEASURED, fields])


SYMBOLS = zstd(bytes(24))
FORGED += [
    ("poster-smaller-than-a-patch", set_path("tensors/poster/shape", [1, 3, 20]), "DDS-E012"),
    ("poster-of-another-colour", set_path("image/channels", 3), "DDS-E014"),
    ("patch-of-another-size", set_path("patches/size", [3, 4]), "DDS-E012"),
    ("another-rule-for-origins", set_path("patches/origins", "random"), "DDS-E010"),
    ("patches-that-no-cells-divide", set_path("patches/origins", "per-class"), "DDS-E012"),
    ("cells-smaller-than-a-patch", both(set_path("patches/origins", "per-class"),
        set_path("patches/grid", [3, 2])), "DDS-E012"),
    ("image-of-two-channels", set_path("image/channels", 2), "DDS-E010"),
    ("poster-is-missing", lambda f: f.manifest["tensors"].pop("poster"), "DDS-E013"),
    ("label-array-of-another-shape", set_path("labels/grid", [2, 4]), "DDS-E013"),
    ("listed-tensor-is-not-stored", set_path("tensors/more", {"shape": [1]}), "DDS-E013"),
    ("payload-is-no-zstd", as_zstd("labels", b"no zstd frame"), "DDS-E021"),
    ("payload-cut-short", as_zstd("labels", SYMBOLS[:-1]), "DDS-E021"),
    ("payload-followed-by-a-byte", as_zstd("labels", SYMBOLS + b"\0"), "DDS-E021"),
    ("payload-of-two-frames", as_zstd("labels", SYMBOLS * 2), "DDS-E021"),
    ("payload-of-another-size", as_zstd("labels", zstd(bytes(23))), "DDS-E021"),
    ("payload-is-a-bomb", as_zstd("labels", zstd(bytes(1 << 26))), "DDS-E021"),
    ("symbol-out-of-range", both(set_path("tensors/labels/quantiser/bits", 2),
                                 as_zstd("labels", zstd(b"\4" * 24))), "DDS-E022"),
    ("value-is-infinite", raw_labels(b"\0\0\x80\x7f"), "DDS-E023"),
    ("value-is-nan", raw_labels(b"\0\0\xc0\x7f"), "DDS-E023"),
    ("tensor-of-another-value", as_zstd("labels", zstd(b"\1" * 24)), "DDS-E032"),
    ("manifest-with-another-name", set_path("classes", ["ant", "bee", "zebro"]), "DDS-E032"),
    ("score-is-text", set_path("order/score", "high"), "DDS-E011"),
    ("measured-over-one", set_path("measured", {"accuracy_mean": 2}), "DDS-E010"),
    *[(f"networks-{name}", table(**change), "DDS-E010") for name, change in TABLES.items()],
    ("networks-that-are-too-many", set_path("measured", [MEASURED, *[ENTRY] * 100]), "DDS-E010"),
    ("networks-of-nothing", set_path("measured", []), "DDS-E010"),
    ("networks-without-another", set_path("measured", [MEASURED]), "DDS-E010"),
    ("networks-of-texts", set_path("measured", [MEASURED, "resnet18"]), "DDS-E010"),
    ("networks-after-a-network", set_path("measured", [ENTRY, SAME]), "DDS-E010"),
    ("networks-of-one-rate-said-twice", set_path("measured", [MEASURED, ENTRY, ENTRY]), "DDS-E004"),
    ("networks-of-one-real-rate-said-twice", set_path("measured",
        [MEASURED, ENTRY | {"lr": 1.0}, SAME | {"lr": 1.0}]), "DDS-E004"),
    ("external-without-size", set_path("external", [{"name": "model"}]), "DDS-E010"),
    ("license-of-many-lines", set_path("license", "a\nb"), "DDS-E010"),
    ("seed-below-zero", set_path("provenance/seed", -1), "DDS-E010"),
    ("source-digest-too-short", set_path("source/digest", "00"), "DDS-E010"),
    ("chunk-digest", lambda f: f.manifest["tensors"]["labels"].update(
        chunk=2, digests=["0" * 64]), "DDS-E013"),
    ("chunk-beyond-the-tensor", lambda f: f.manifest["tensors"]["labels"].update(
        chunk=3, digests=["0" * 64]), "DDS-E006"),
]  # fmt: skip


def quantised_as(name: str, payload: bytes, **quantiser: Any) -> Change:
    """Give a tensor another quantiser, and store ``payload`` as its symbols."""

    def change(f: Forgery) -> None:
        f.manifest["tensors"][name] |= {"coder": "zstd", "quantiser": quantiser}
        rewrite(name, zstd(payload))(f)

    return change


def white(**preprocessing: Any) -> Change:
    return set_path("image/preprocessing", preprocessing)


FORGED += [
    ("context-of-another-model", rewrite("labels", b"\2abc"), "DDS-E024"),
    ("context-of-a-picture-in-a-table", both(set_path("tensors/labels/shape", [8, 3]),
                                             rewrite("labels", b"\1" + b"\0" * 9 + b"\1")),
        "DDS-E013"),
    ("context-without-parameters", rewrite("poster", b"\1\0\0"), "DDS-E024"),
    ("context-with-a-spread-too-large", rewrite("poster", b"\1\0\x60" + b"\1" * 7), "DDS-E024"),
    ("context-that-ends-with-zero", rewrite("poster", b"\0ab\0"), "DDS-E024"),
    ("context-followed-by-bytes", rewrite("poster", b"\0" + b"\7" * 200), "DDS-E024"),
    ("context-of-floats", both(raw_labels(b"\0" * 4), set_path("tensors/labels/coder", "context")),
        "DDS-E006"),
    ("context-of-too-much", set_path("tensors/poster/shape", [1, 4096, 4096]), "DDS-E040"),
    ("square-with-an-offset", quantised_as("labels", bytes(24), kind="square", scale=1, offset=0),
        "DDS-E020"),
    ("square-of-no-scale", quantised_as("labels", bytes(24), kind="square", scale=0), "DDS-E020"),
    ("square-of-a-list", quantised_as("labels", bytes(24), kind="square", scale=[1]), "DDS-E020"),
    ("quantiser-of-another-kind", quantised_as("labels", bytes(24), kind="cubic"), "DDS-E020"),
    ("preprocessing-of-another-kind", white(kind="zca", matrix="whiten.npy"), "DDS-E014"),
    ("whitening-without-a-kernel", white(kind="conv_whiten", gain=1, size=1), "DDS-E014"),
    ("whitening-with-large-numbers", white(kind="conv_whiten", gain=1, size=1, kernel=[2048]),
        "DDS-E014"),
    ("whitening-without-gain", white(kind="conv_whiten", gain=0, size=1, kernel=[1]), "DDS-E014"),
    ("kernel-of-even-size", white(kind="conv_whiten", gain=1, size=2, kernel=[1] * 4), "DDS-E014"),
    ("kernel-too-short", white(kind="conv_whiten", gain=1, size=3, kernel=[1] * 8), "DDS-E014"),
    ("kernel-too-large", white(kind="conv_whiten", gain=1, size=2**31 + 1, kernel=[1]), "DDS-E014"),
]  # fmt: skip


def chunk_of_another_value(_: bytes) -> bytes:
    from ddcodec.format import Storage, to_bytes
    from tests.helpers.small_files import STORAGE, arrays, manifest

    chunked = STORAGE | {"labels": Storage(bits=8, chunk=1)}
    forgery = Forgery.of(to_bytes(manifest(), arrays(), chunked)[0])
    forgery.manifest["tensors"]["labels"]["digests"][1] = "0" * 64
    return forgery.build()


def of_images(change: Change) -> Callable[[bytes], bytes]:
    """Change a valid file of the codec ``images``, in chunks of two, instead of the usual one."""

    def make(_: bytes) -> bytes:
        from ddcodec.format import Storage, to_bytes
        from tests.helpers.small_files import images_arrays, images_manifest

        chunks = {"images": Storage(chunk=2), "labels": Storage(chunk=2)}
        forgery = Forgery.of(to_bytes(images_manifest(), images_arrays(), chunks)[0])
        change(forgery)
        return forgery.build()

    return make


def indices(*labels: int) -> Callable[[bytes], bytes]:
    """Make a file of images whose class indices are ``labels``."""

    def make(_: bytes) -> bytes:
        import numpy as np

        from ddcodec.format import to_bytes
        from tests.helpers.small_files import images_arrays, images_manifest

        manifest = images_manifest()
        manifest.labels["kind"] = "index"
        wrong = images_arrays(len(labels)) | {"labels": np.array(labels, np.int32)}
        return to_bytes(manifest, wrong, {})[0]

    return make


def chunk_of(name: str, chunk: int, count: int) -> Change:
    return lambda f: f.manifest["tensors"][name].update(chunk=chunk, digests=["0" * 64] * count)


LATER = set_path("format/minor", 1)
PATCHES = {"grid": [1, 1]}
ORDER = {"grid": [1, 1], "cells": [0], "rule": "given"}
OF_IMAGES: list[tuple[str, Change, str]] = [
    ("images-with-patches", set_path("patches", PATCHES), "DDS-E010"),
    ("images-with-an-order", set_path("order", ORDER), "DDS-E010"),
    ("images-with-label-grid", set_path("labels/grid", [1, 1]), "DDS-E014"),
    ("images-with-learned-labels", set_path("labels", {}), "DDS-E014"),
    ("images-of-another-height", set_path("image/height", 5), "DDS-E013"),
    ("images-and-labels-cut-differently", chunk_of("labels", 5, 1), "DDS-E013"),
    ("images-with-a-digest-too-few", chunk_of("images", 2, 2), "DDS-E006"),
    ("images-with-another-chunk", set_path("tensors/images/digests/2", "0" * 64), "DDS-E031"),
    ("later-minor-with-another-coder", both(LATER, set_path("tensors/images/coder", "rans")),
        "unsupported"),
    ("later-minor-with-another-field", both(LATER, set_path("epochs", 1)), "unsupported"),
]  # fmt: skip

BYTES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("empty-file", lambda _: b"", "DDS-E001"),
    ("seven-bytes", lambda _: bytes(7), "DDS-E001"),
    ("header-of-no-bytes", lambda _: bytes(8), "DDS-E002"),
    ("header-of-2-to-63-bytes", lambda d: (2**63).to_bytes(8, "little") + d[8:], "DDS-E002"),
    ("header-past-the-end", lambda d: d[:40], "DDS-E002"),
    ("space-before-the-header", lambda _: (3).to_bytes(8, "little") + b" {}", "DDS-E003"),
    ("byte-order-mark", lambda _: (5).to_bytes(8, "little") + b"\xef\xbb\xbf{}", "DDS-E003"),
    ("header-in-utf-16", lambda _: (4).to_bytes(8, "little") + b"{\0}\0", "DDS-E003"),
    ("no-metadata", lambda _: (2).to_bytes(8, "little") + b"{}", "DDS-E005"),
    ("png-file", lambda _: b"\x89PNG\r\n\x1a\n" + bytes(100), "DDS-E002"),
    ("pickle", lambda _: b"\x80\x04\x95\x10\0\0\0\0\0\0\0cos\nsystem\n", "DDS-E002"),
    ("chunk-of-another-value", chunk_of_another_value, "DDS-E031"),
    *[(name, of_images(change), code) for name, change, code in OF_IMAGES],
    ("class-index-of-no-class", indices(0, 3), "DDS-E011"),
    ("class-index-below-zero", indices(0, -1), "DDS-E014"),
    ("last-byte-missing", lambda d: d[:-1], "DDS-E007"),
    ("a-byte-too-many", lambda d: d + b"\0", "DDS-E007"),
    ("last-bit-flipped", lambda d: d[:-1] + bytes([d[-1] ^ 1]), "DDS-E030"),
]


def forged(change: Change) -> Callable[[bytes], bytes]:
    def make(small: bytes) -> bytes:
        forgery = copy.deepcopy(Forgery.of(small))
        change(forgery)
        return forgery.build()

    return make


CASES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    name.replace(" ", "-"): (code, forged(change)) for name, change, code in FORGED
} | {name: (code, make) for name, make, code in BYTES}
