"""How many images of a batch pass through an observer at once, so that memory is enough."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..runtime.memory import available_memory
from ..runtime.rng import seeded
from ..sources.on_disk import Images, OnDisk

MOST_BYTES = 5 << 29  # for the passes of a step on a CPU, whatever there is
ALL_BYTES = 11 << 28  # for these and all that is held, so that a training stays below 4 GiB
FEW_BYTES = 1 << 28  # for the passes, at least
BYTES_A_WEIGHT = 4 + 4 + 4 + 2
SHARE = 2  # one part of the memory that is free
LEAST = 8  # images: batch norm takes its statistics from those that pass together
# What a pass keeps comes with gradients and work space of the largest layers; fitted to peaks of
# eight networks of 64 and 224 pixels, within a third of each.
LARGEST_TIMES = 8


def bytes_an_image(network: nn.Module, image: Tensor, precision: torch.dtype | None) -> int:
    """Return about the bytes that an image (C, H, W) adds to the memory of a training step.

    It is what four images leave for the way back and two do not: weights, which autocast keeps in
    bfloat16, are in both. Weights and statistics stay as they are.
    """
    before = [buffer.clone() for buffer in network.buffers()]
    learning = network.training
    half = torch.autocast(image.device.type, torch.bfloat16, enabled=precision is not None)
    with half, seeded(image.device, 0, "memory"):
        two, four = (_kept(network.train(), image, count) for count in (2, 4))
    network.train(learning)
    for buffer, value in zip(network.buffers(), before, strict=True):
        buffer.copy_(value)
    sizes = [more - less for less, more in zip(two, four, strict=False)]
    return (sum(sizes) + LARGEST_TIMES * max(sizes, default=0)) // 2


def _kept(network: nn.Module, image: Tensor, count: int) -> list[int]:
    """Return the bytes of every tensor that a pass of ``count`` equal images keeps."""
    kept: dict[int, tuple[int, Tensor]] = {}

    def look(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        # Held until the end, or its place would be taken by another one.
        kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(look, lambda tensor: tensor):
        images = image.expand(count, -1, -1, -1)
        network(images.contiguous(memory_format=torch.channels_last))
    return [size for size, _ in kept.values()]


def bytes_held(network: nn.Module, images: Images, inputs: int) -> int:
    """Return about the bytes that a training holds between two passes.

    Of each weight its momentum, gradient and copy in bfloat16, too; images in memory, and of
    these ``inputs`` bytes as the network sees them.
    """
    weights = sum(weight.numel() for weight in network.parameters())
    return weights * BYTES_A_WEIGHT + inputs + (0 if isinstance(images, OnDisk) else images.nbytes)


def room(device: torch.device, held: int) -> int:
    """Return the bytes that the passes of a step may take beside ``held`` ones."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // SHARE
    return min(MOST_BYTES, max(FEW_BYTES, ALL_BYTES - held), available_memory() // SHARE)


def parts_of(batch: int, image_bytes: int, bytes_free: int) -> int:
    """Return into how many parts, alike but for one image, a batch is divided to fit."""
    at_once = max(LEAST, bytes_free // max(1, image_bytes))
    # A part has two images at least: of one alone there are no statistics.
    return max(1, min(-(-batch // at_once), batch // 2))
