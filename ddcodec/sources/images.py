"""Encoded images to uint8 arrays, one line of error for whatever cannot be read."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import SourceError

GREY_MODES = {"1", "L", "I", "I;16", "LA", "F"}
Encoded = bytes | Path


def decode(data: Encoded, name: str) -> tuple[NDArray[np.uint8], bool]:
    """Return an image, uint8 (H, W) or (H, W, 3), upright, and whether it is grey.

    Raises SourceError naming ``name`` where Pillow cannot read all of it.
    """
    try:
        with (
            warnings.catch_warnings(),
            Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as opened,
        ):
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            upright = ImageOps.exif_transpose(opened)
            grey = upright.mode in GREY_MODES
            return np.asarray(upright.convert("L" if grey else "RGB")), grey
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise SourceError(f"{name}: cannot be read as an image: {reason}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise SourceError(f"{name}: too many pixels for one image") from None


def decode_all(items: Sequence[Encoded], names: Sequence[str]) -> NDArray[np.uint8]:
    """Return all images as uint8 (N, H, W, C): C is 1 if every image is grey, else 3.

    Raises SourceError naming two files where sizes differ.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = list(pool.map(decode, items, names))
    first = decoded[0][0].shape[:2]
    for (image, _), name in zip(decoded, names, strict=True):
        if image.shape[:2] != first:
            raise SourceError(
                f"{name}: is {image.shape[1]}x{image.shape[0]} but {names[0]} is "
                f"{first[1]}x{first[0]}; resize all images to one size"
            )
    if all(grey for _, grey in decoded):
        return np.stack([image for image, _ in decoded])[..., None]
    return np.stack(
        [image if image.ndim == 3 else np.repeat(image[..., None], 3, 2) for image, _ in decoded]
    )
