"""Files of the codec ppodd: the valid ones of the vectors, and hostile ones made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ddcodec.format import Manifest, Storage, to_bytes
from tests.helpers.hostile import Change, Forgery, both, drop, set_path
from tests.helpers.small_files import manifest

FIXED = {"kind": "fixed", "pooling": "majority"}


def ppodd_manifest(
    stages: int = 3, differences: tuple[str, ...] = ("labels_2", "poster_2"), **changes: Any
) -> Manifest:
    """Return a manifest of grey posters of 6 x 10 with 4 x 2 patches of 4 x 4 each."""
    weights = [0.5, 0.25, 0.25, 0.125][:stages]
    params: dict[str, Any] = {"weights": weights}
    if differences:
        params["differences"] = list(differences)
    return manifest(codec={"name": "ppodd", "version": 1, "params": params}, **changes)


def ppodd_arrays(found: Manifest, seed: int = 31) -> dict[str, np.ndarray]:
    """Return posters and, for learned labels, label arrays of four columns and two rows."""
    random = np.random.default_rng(seed)
    params = found.codec["params"]
    arrays = {}
    for stage in range(1, len(params["weights"]) + 1):
        arrays[f"poster_{stage}"] = random.normal(size=(1, 6, 10)).astype(np.float32)
        if found.labels["kind"] == "learned":
            arrays[f"labels_{stage}"] = random.random((2, 4, 3)).astype(np.float32)
    for name in params.get("differences", []):
        arrays[name] = (arrays[name] - np.float32(0.5)) / 4
    return arrays


def ppodd_valid() -> dict[str, bytes]:
    """Return every valid file by name."""
    patches = {"grid": [5, 3], "size": [4, 4], "origins": "linspace-half-even"}
    recipe = manifest().recipe | {"batch_size": 15}
    area = {"kind": "learned", "pooling": "area", "grid": [4, 2]}
    plain = {"patches": patches, "recipe": recipe}
    cases = {
        "ppodd-stages": (ppodd_manifest(), 8),
        "ppodd-one-stage": (ppodd_manifest(1, ()), 4),
        "ppodd-fixed-labels": (ppodd_manifest(2, ("poster_2",), labels=FIXED), None),
        "ppodd-chain-of-differences": (
            ppodd_manifest(4, ("labels_3", "labels_4", "poster_2", "poster_3", "poster_4")),
            6,
        ),
        "ppodd-area-pooling": (ppodd_manifest(2, (), labels=area, **plain), 8),
    }
    files = {}
    for name, (found, bits) in cases.items():
        arrays = ppodd_arrays(found)
        storage = {key: Storage(bits=bits) for key in arrays}
        files[name] = to_bytes(found, arrays, storage)[0]
    return files


def of_ppodd(change: Change) -> Callable[[bytes], bytes]:
    """Change a valid file of the codec ppodd instead of the usual one."""

    def make(_: bytes) -> bytes:
        found = ppodd_manifest()
        arrays = ppodd_arrays(found)
        forgery = Forgery.of(to_bytes(found, arrays, {n: Storage(coder="raw") for n in arrays})[0])
        change(forgery)
        return forgery.build()

    return make


def with_values(name: str, value: float) -> Callable[[bytes], bytes]:
    """Make a file, right but for a tensor that holds one value throughout."""

    def make(_: bytes) -> bytes:
        found = ppodd_manifest()
        arrays = ppodd_arrays(found)
        arrays[name] = np.full_like(arrays[name], value)
        if name == "poster_2":
            arrays["poster_1"] = np.full_like(arrays["poster_1"], value)
        return to_bytes(found, arrays, {n: Storage(coder="raw") for n in arrays})[0]

    return make


WEIGHTS, DIFFERENCES = "codec/params/weights", "codec/params/differences"
PPODD_CASES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    *[(name, of_ppodd(change), code) for name, change, code in (
        ("ppodd-without-params", lambda f: f.manifest["codec"].pop("params"), "DDS-E010"),
        ("ppodd-params-of-a-number", set_path("codec/params", 3), "DDS-E010"),
        ("ppodd-another-param", set_path("codec/params/run", "os.system"), "DDS-E010"),
        ("ppodd-no-weights", set_path(WEIGHTS, []), "DDS-E010"),
        ("ppodd-weights-of-text", set_path(WEIGHTS, ["a", "b", "c"]), "DDS-E010"),
        ("ppodd-weight-of-zero", set_path(WEIGHTS, [0.5, 0, 0.5]), "DDS-E010"),
        ("ppodd-weight-below-zero", set_path(WEIGHTS, [0.5, -0.5, 1]), "DDS-E010"),
        ("ppodd-a-million-stages", set_path(WEIGHTS, [1] * 1000), "DDS-E010"),
        ("ppodd-a-weight-too-few", set_path(WEIGHTS, [0.5, 0.5]), "DDS-E013"),
        ("ppodd-a-weight-too-many", set_path(WEIGHTS, [0.25] * 4), "DDS-E013"),
        ("ppodd-difference-of-the-first", set_path(DIFFERENCES, ["poster_1"]), "DDS-E013"),
        ("ppodd-difference-of-nothing", set_path(DIFFERENCES, ["poster_9"]), "DDS-E013"),
        ("ppodd-differences-of-lists", set_path(DIFFERENCES, [[]]), "DDS-E013"),
        ("ppodd-differences-unordered", set_path(DIFFERENCES, ["poster_2", "labels_2"]),
            "DDS-E013"),
        ("ppodd-a-difference-twice", set_path(DIFFERENCES, ["poster_2", "poster_2"]),
            "DDS-E013"),
        ("ppodd-no-differences-listed", set_path(DIFFERENCES, []), "DDS-E013"),
        ("ppodd-labels-are-missing", drop("labels_2"), "DDS-E013"),
        ("ppodd-a-poster-is-missing", drop("poster_3"), "DDS-E013"),
        ("ppodd-fixed-with-label-arrays", set_path("labels", {"kind": "fixed"}), "DDS-E013"),
        ("ppodd-posters-of-two-sizes", set_path("tensors/poster_2/shape", [1, 10, 6]),
            "DDS-E013"),
        ("ppodd-labels-of-another-shape", set_path("tensors/labels_3/shape", [4, 2, 3]),
            "DDS-E013"),
        ("ppodd-without-patches", lambda f: f.manifest.pop("patches"), "DDS-E010"),
        ("ppodd-patches-beyond-the-limit",
            both(set_path("patches/grid", [800, 700]), set_path("labels/grid", [4, 2])),
            "DDS-E040"),
    )],
    ("ppodd-labels-below-zero", with_values("labels_1", -1), "DDS-E014"),
    ("ppodd-labels-of-zero", with_values("labels_3", 0), "DDS-E014"),
    ("ppodd-labels-that-differences-erase", with_values("labels_2", -2), "DDS-E014"),
    ("ppodd-a-sum-without-end", with_values("poster_2", 3e38), "DDS-E023"),
]  # fmt: skip
