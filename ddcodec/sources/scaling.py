"""Images to another size, or to grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .checks import shape_text
from .on_disk import Images, remade


def to_grey(images: Images, where: str) -> Images:
    """Return images (N, H, W, 3) as (N, H, W, 1): luminance, as Pillow computes it."""
    shape = (*images.shape[:3], 1)

    def luminance(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
        grey = [np.asarray(Image.fromarray(image).convert("L")) for image in part]
        return np.stack(grey)[..., None]

    return remade(images, shape, luminance, f"{where}: {shape_text(shape)}")


def in_colour(images: Images, where: str) -> Images:
    """Return images (N, H, W, 1) as (N, H, W, 3), each as ``three_channels`` makes it."""
    shape = (*images.shape[:3], 3)
    return remade(images, shape, three_channels, f"{where}: {shape_text(shape)}")


def three_channels(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return grey images (..., 1) with three equal channels."""
    return np.repeat(images, 3, axis=-1)


def resize(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return the central square of an image (H, W, C), scaled to (size, size, C)."""
    height, width, channels = image.shape
    side = min(height, width)
    if height == width == size:
        return image
    top, left = (height - side) // 2, (width - side) // 2
    # Cut first: with Pillow's own box the pixels beside it would bleed in.
    square = image[top : top + side, left : left + side]
    picture = Image.fromarray(square if channels == 3 else square[..., 0])
    scaled = picture.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(scaled).reshape(size, size, channels)


def resize_all(images: Images, size: int, where: str) -> Images:
    """Return images (N, H, W, C) as (N, size, size, C), each as ``resize`` makes it."""
    shape = len(images), size, size, images.shape[3]
    return remade(
        images,
        shape,
        lambda part: np.stack([resize(image, size) for image in part]),
        f"{where}: {shape_text(shape)}",
    )
