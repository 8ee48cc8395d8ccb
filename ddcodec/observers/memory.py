"""How many images of a batch pass through an observer at once, so that memory is enough."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..runtime.memory import available_memory
from ..runtime.rng import seeded

MOST_BYTES = 5 << 29  # for the passes of a step on a CPU, whatever there is
SHARE = 2  # one part of the memory that is free
LEAST = 8  # images: batch norm takes its statistics from those that pass together
# What a pass keeps comes with gradients and work space of the largest layers; fitted to peaks of
# eight networks of 64 and 224 pixels, within a third of each.
LARGEST_TIMES = 8


def bytes_an_image(network: nn.Module, image: Tensor, precision: torch.dtype | None) -> int:
    """Return about the bytes that an image (C, H, W) adds to the memory of a training step.

    What two images leave for the way back is counted; weights and statistics stay as they are.
    """
    own = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    kept: dict[int, tuple[int, Tensor]] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            # Held until the end, or its place would be taken by another one.
            kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    before = [buffer.clone() for buffer in network.buffers()]
    learning = network.training
    half = torch.autocast(image.device.type, torch.bfloat16, enabled=precision is not None)
    hooks = torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor)
    with half, hooks, seeded(image.device, 0, "memory"):
        two = image.expand(2, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        network.train()(two)
    network.train(learning)
    for buffer, value in zip(network.buffers(), before, strict=True):
        buffer.copy_(value)
    sizes = [size for size, _ in kept.values()]
    return (sum(sizes) + LARGEST_TIMES * max(sizes, default=0)) // 2


def room(device: torch.device) -> int:
    """Return the bytes that the passes of a step may take."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // SHARE
    return min(MOST_BYTES, available_memory() // SHARE)


def parts_of(batch: int, image_bytes: int, bytes_free: int) -> int:
    """Return into how many parts, alike but for one image, a batch is divided to fit."""
    at_once = max(LEAST, bytes_free // max(1, image_bytes))
    # A part has two images at least: of one alone there are no statistics.
    return max(1, min(-(-batch // at_once), batch // 2))
