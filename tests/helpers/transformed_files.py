"""Files of posters stored as coefficients: the valid ones of the vectors, and hostile ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ddcodec.codecs.podd.transform import BLOCK, CENTRE, MIXING, NORMS, TABLE, blocks_of
from ddcodec.format import Manifest, Storage, context, to_bytes
from ddcodec.format.context import frequencies
from ddcodec.format.context.arithmetic import RangeEncoder
from tests.helpers.hostile import Change, Forgery, both, rewrite, set_path
from tests.helpers.small_files import STORAGE, arrays, manifest

STEP = 0.25
STORED = {"poster": Storage(coder="context"), "labels": Storage(bits=8)}
Parts = tuple[Manifest, dict[str, np.ndarray], dict[str, Storage]]


def analysed(poster: np.ndarray, step: float) -> np.ndarray:
    """Return the symbols uint8 (C, By, Bx, 8, 8) that come near to a poster (C, H, W)."""
    height, width = poster.shape[1:]
    down, across = blocks_of((height, width))
    edges = ((0, 0), (0, down * BLOCK - height), (0, across * BLOCK - width))
    planes = np.pad(np.asarray(poster, np.float64), edges, mode="edge")
    if len(planes) == 3:
        planes = np.tensordot(MIXING * np.array(NORMS)[:, None], planes, 1)
    blocks = planes.reshape(-1, down, BLOCK, across, BLOCK).swapaxes(2, 3)
    waves = TABLE / 4096
    coefficients = np.rint(waves @ blocks @ waves.T / step).clip(-CENTRE, CENTRE - 1)
    return (coefficients + CENTRE).astype(np.uint8)


def transformed(size: Any = (6, 10), step: Any = STEP, **changes: Any) -> Manifest:
    """Return a manifest of a grey poster of 6 x 10 pixels that is stored as two blocks."""
    size = list(size) if isinstance(size, tuple) else size
    params = {"transform": {"size": size, "step": step}}
    return manifest(codec={"name": "podd", "version": 1, "params": params}, **changes)


def transformed_arrays() -> dict[str, np.ndarray]:
    """Return the small poster and labels that others store as they are, in coefficients."""
    return arrays() | {"poster": analysed(arrays()["poster"], STEP)}


def transformed_valid(colour: dict[str, Any]) -> dict[str, Parts]:
    """Return what valid files hold, by name; given a colour manifest of 7 x 11 poster pixels."""
    y, x = np.mgrid[:20, :27] / 20
    waves = np.stack([np.sin(6 * x + c) + (c + 1) * np.cos(5 * y + 2 * x) for c in range(3)])
    waves += np.random.default_rng(17).normal(0, 0.25, waves.shape)
    coarse, fine = 0.73, 0.125
    area = {"kind": "learned", "pooling": "area", "grid": [4, 2]}
    return {
        "podd-transform": (transformed(labels=area), transformed_arrays(), STORED),
        "podd-transform-colour": (
            transformed((20, 27), coarse, **colour),
            {"poster": analysed(waves, coarse)},
            {"poster": Storage(coder="context")},
        ),
        # Coefficients that are too large together for the model of frequencies.
        "podd-transform-fine": (
            transformed((20, 27), fine, **colour),
            {"poster": analysed(waves, fine)},
            {"poster": Storage(coder="context")},
        ),
        "podd-transform-zstd-in-chunks": (
            transformed((20, 27), coarse, **colour),
            {"poster": analysed(waves, coarse)},
            {"poster": Storage(coder="zstd", chunk=2)},
        ),
    }


def of_transformed(change: Change) -> Callable[[bytes], bytes]:
    """Change a valid file of a transformed poster instead of the usual one."""

    def make(_: bytes) -> bytes:
        forgery = Forgery.of(to_bytes(transformed(), transformed_arrays(), STORED)[0])
        change(forgery)
        return forgery.build()

    return make


def of_frequencies(symbols: np.ndarray) -> bytes:
    """Return a code of the model ``frequencies``, of integers as large as they like."""
    coder = RangeEncoder()
    frequencies.encode(coder, symbols, 8)
    return bytes([context.FREQUENCIES]) + coder.finish()


# A coefficient of 128, where 127 is the most.
OUT_OF_RANGE = of_frequencies(np.array([256, *[CENTRE] * 127]).reshape(1, 1, 2, 8, 8))
TOO_LARGE = of_frequencies(np.full((1, 1, 2, 8, 8), CENTRE - 9, np.uint8))


def pixels_called_coefficients(_: bytes) -> bytes:
    """Make a file whose manifest says transform, and whose poster has pixels."""
    forgery = Forgery.of(to_bytes(manifest(), arrays(), STORAGE)[0])
    forgery.manifest["codec"]["params"] = transformed().codec["params"]
    return forgery.build()


def coefficients_called_pixels(_: bytes) -> bytes:
    """Make a file whose poster has coefficients, and whose manifest does not say so."""
    forgery = Forgery.of(to_bytes(transformed(), transformed_arrays(), STORED)[0])
    del forgery.manifest["codec"]["params"]
    return forgery.build()


SIZE, STEPS = "codec/params/transform/size", "codec/params/transform/step"
TRANSFORM, POSTER = "codec/params/transform", "tensors/poster/"
TRANSFORMED_CASES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("transform-of-pixels", pixels_called_coefficients, "DDS-E013"),
    ("transform-that-is-not-said", coefficients_called_pixels, "DDS-E013"),
    *[(name, of_transformed(change), code) for name, change, code in (
        ("transform-of-another-height", set_path(SIZE, [9, 10]), "DDS-E012"),
        ("transform-of-another-width", set_path(SIZE, [6, 17]), "DDS-E012"),
        ("transform-of-less-than-its-blocks", set_path(SIZE, [6, 8]), "DDS-E012"),
        ("transform-along-an-axis-alone", set_path(SIZE, [6]), "DDS-E012"),
        ("transform-along-three-axes", set_path(SIZE, [6, 10, 1]), "DDS-E012"),
        ("transform-to-half-a-pixel", set_path(SIZE, [6, 10.5]), "DDS-E012"),
        ("transform-to-a-number-of-float", set_path(SIZE, [6.0, 10]), "DDS-E012"),
        ("transform-to-nothing", set_path(SIZE, [0, 10]), "DDS-E012"),
        ("transform-to-true", set_path(SIZE, [True, 10]), "DDS-E012"),
        ("transform-to-a-text", set_path(SIZE, "6x10"), "DDS-E012"),
        ("transform-of-step-zero", set_path(STEPS, 0), "DDS-E010"),
        ("transform-of-a-step-below-zero", set_path(STEPS, -0.25), "DDS-E010"),
        ("transform-of-a-step-too-small", set_path(STEPS, 1e-30), "DDS-E010"),
        ("transform-of-a-step-too-large", set_path(STEPS, 1e30), "DDS-E010"),
        ("transform-of-a-step-of-true", set_path(STEPS, True), "DDS-E010"),
        ("transform-of-a-step-of-text", set_path(STEPS, "0.25"), "DDS-E010"),
        ("transform-of-a-step-for-each-channel", set_path(STEPS, [0.25]), "DDS-E010"),
        ("transform-without-a-step", set_path(TRANSFORM, {"size": [6, 10]}), "DDS-E010"),
        ("transform-without-a-size", set_path(TRANSFORM, {"step": 0.25}), "DDS-E010"),
        ("transform-with-a-block", set_path(TRANSFORM + "/block", 8), "DDS-E010"),
        ("transform-of-a-name", set_path(TRANSFORM, "cosine"), "DDS-E010"),
        ("transform-of-nothing", set_path(TRANSFORM, None), "DDS-E010"),
        ("transform-that-is-expanded", set_path("codec/params/expanded", [9, 15]), "DDS-E010"),
        ("transform-with-seven-frequencies",
            set_path(POSTER + "shape", [1, 1, 2, 8, 7]), "DDS-E012"),
        ("transform-in-one-row", set_path(POSTER + "shape", [1, 1, 2, 64]), "DDS-E013"),
        ("transform-of-two-channels", set_path(POSTER + "shape", [2, 1, 2, 8, 8]), "DDS-E012"),
        ("transform-in-integers", both(set_path(POSTER + "dtype", "int32"),
                                       set_path(POSTER + "coder", "raw")), "DDS-E013"),
        ("transform-of-less-than-a-patch",
            both(set_path("image/height", 7), set_path("image/width", 4)), "DDS-E012"),
        ("transform-in-stages", set_path("codec/name", "ppodd"), "DDS-E010"),
        ("transform-of-images", set_path("codec/name", "images"), "DDS-E010"),
        ("context-of-frequencies-in-a-table", rewrite("labels", b"\2abc"), "DDS-E024"),
        ("context-of-a-model-that-is-not-there", rewrite("poster", b"\3abc"), "DDS-E024"),
        ("context-of-coefficients-out-of-range", rewrite("poster", OUT_OF_RANGE), "DDS-E024"),
        ("context-of-coefficients-too-large-together", rewrite("poster", TOO_LARGE), "DDS-E024"),
        ("context-of-frequencies-followed-by-bytes", rewrite("poster", b"\2" + b"\7" * 300),
            "DDS-E024"),
        ("context-of-frequencies-ending-with-zero", rewrite("poster", b"\2ab\0"), "DDS-E024"),
        ("context-of-other-coefficients", rewrite("poster", b"\2"), "DDS-E032"),
    )],
]  # fmt: skip
