"""The same poster and labels in the forms people are used to: bytes, and ratios to our files.

    python tests/bench/bench_bytes.py high.ddset small.ddset

The first file is what the other forms hold: its poster as 8-bit or float32 pixels and its labels
as float32, without class names, geometry, preprocessing and recipe, which only ours has. Every
form can hold them in a JSON file beside it, and the ratio in brackets counts that too. Give files
of equal accuracy.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from PIL import Image

from ddcodec.codecs.podd.poster_file import stored_pixels
from ddcodec.format import read
from ddcodec.inspection.equivalents import eight_bits

Arrays = dict[str, np.ndarray]


def saved(write: Callable[[io.BytesIO], Any]) -> int:
    buffer = io.BytesIO()
    write(buffer)
    return len(buffer.getvalue())


def picture(poster: np.ndarray, kind: str, **options: Any) -> int:
    pixels = eight_bits(poster)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return saved(lambda out: image.save(out, kind, **options))


def forms(arrays: Arrays) -> dict[str, int]:
    """Return the bytes of each form."""
    poster = arrays["poster"]
    labels = {name: value for name, value in arrays.items() if name != "poster"}
    npz = saved(lambda out: np.savez_compressed(out, **labels)) if labels else 0
    tensors = {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
    pixels = {"poster": eight_bits(poster)}
    return {
        "PNG poster (8 bits) + npz labels": picture(poster, "png", optimize=True) + npz,
        "WebP lossless poster (8 bits) + npz labels": npz
        + picture(poster, "webp", lossless=True, quality=100, method=6),
        "savez_compressed, poster 8 bits": saved(
            lambda out: np.savez_compressed(out, **pixels, **labels)
        ),
        "savez_compressed, float32": saved(lambda out: np.savez_compressed(out, **arrays)),
        "safetensors, float32": len(safetensors.numpy.save(arrays)),
        "torch.save, float32": saved(lambda out: torch.save(tensors, out)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="F")
    files: list[Path] = parser.parse_args().files
    first = read(files[0])
    arrays = first.arrays | {"poster": stored_pixels(first.manifest, first.arrays)}
    described = len(first.manifest.to_json().encode())
    ours = {path: path.stat().st_size for path in files}
    names = [path.name for path in files]
    print(f"{'':44}{'bytes':>10}" + "".join(f"{'/ ' + name:>22}" for name in names))
    print(f"{'':54}" + "".join(f"{'(with description)':>22}" for _ in names))
    for path, size in ours.items():
        print(f"{path.name:44}{size:10,}")
    for name, size in forms(arrays).items():
        cells = [f"{size / own:.2f} ({(size + described) / own:.2f})" for own in ours.values()]
        print(f"{name:44}{size:10,}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
