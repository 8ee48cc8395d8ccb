"""What every encoder states in a manifest: images, data set, provenance, and how to train."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...version import __version__
from ..options import Common, Options, spelled

if TYPE_CHECKING:
    from ...observers.file import Trained

DEPTH_MAX = 64
SEEN = 4  # pixels that the last block of a network needs
BATCH = 128
EPOCHS, EPOCHS_MANY_CLASSES = 1000, 300
MANY_CLASSES = 1000
# Where labels live: many small steps teach more than few large ones (docs/lic.md). There are so
# many at most, or more where they would show a stored image less often than this.
LIVE_BATCH, LIVE_STEPS, LIVE_EPOCHS = 16, 24_000, 20


def image_of(shape: tuple[int, int, int], preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``image`` for images (C, H, W)."""
    channels, height, width = shape
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "colour": "grey" if channels == 1 else "rgb",
        "preprocessing": dict(preprocessing),
    }


def source_of(name: str, count: int, digest: str, **asked: Any) -> dict[str, Any]:
    """Return ``source`` for ``count`` training images and their SHA-256 in hex.

    ``asked`` is how they were made of what was read: ``size`` and ``test_share`` (``Source``).
    """
    return {"name": name, "split": "train", "count": count, "digest": digest[:32], **asked}


def provenance_of(command: str, seed: int, observer: Trained | None = None) -> dict[str, Any]:
    """Return ``provenance``, with the observer where the labels come from one."""
    found: dict[str, Any] = {"tool": f"ddcodec {__version__}", "command": command, "seed": seed}
    if observer is not None:
        architecture = observer.description.architecture
        found["observer"] = {"architecture": architecture, "digest": observer.digest[:32]}
    return found


def command_of(source: str, codec: str, order: str, options: Options, **common: Any) -> str:
    """Return the command that makes the same file again, where all it needs is at hand.

    ``order`` has the names of the options to record; what equals its default is left out.
    """
    given = vars(options) | common
    values = {name: given.get(name) for name in order.split()}
    words = spelled(values, type(options), Common)
    return shlex.join(["ddcodec", "encode", source, "--codec", codec, *words])


def depth_seen(height: int, width: int) -> int:
    """Return the blocks of a ConvNet of which the last still sees four pixels; at least 1.

    Its instance norm makes zeros of a single pixel, whatever the image is, and signs of two.
    Without a side that can be halved there is no last one: 64, as many as a file may ask for.
    """
    depth = 1
    while depth < DEPTH_MAX:
        if min(height, width) >= 2:
            height, width = height // 2, width // 2
        if height * width < SEEN:
            break
        depth += 1
    return depth


def student_recipe(
    shape: tuple[int, int, int], images: int, regions: int, classes: int, live: bool = False
) -> dict[str, Any]:
    """Return ``recipe`` for stored images (C, H, W) that hold ``regions`` training images each.

    It is that of LIC (paper, appendix D, table 4), by which D3M trains as well. In the paper every
    epoch shows one region of each image, drawn evenly; here batches are drawn from all regions,
    which shows them as often. A batch has all regions where there are no more than 128. Where
    labels are ``live`` a network gives them to what the augmentation made, so it may change more,
    and steps are smaller and more: as many images are seen, up to a limit.
    """
    channels, height, width = shape
    side, depth = min(height, width), 0
    while side >> (depth + 1) >= 4:
        depth += 1
    depth = min(max(2, min(5, depth)), depth_seen(height, width))
    epochs = EPOCHS if classes < MANY_CLASSES else EPOCHS_MANY_CLASSES
    batch, steps = min(BATCH, images * regions), epochs * -(-images // BATCH)
    if live:
        seen, batch = batch * steps, min(LIVE_BATCH, batch)
        most = max(LIVE_STEPS, LIVE_EPOCHS * -(-images // LIVE_BATCH))
        steps = min(-(-seen // batch), most)
    return {
        "network": {
            "name": "convnet",
            "norm": "instance",
            "depth": depth,
            "width": 128,
        },
        "optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 1e-4},
        "schedule": "multistep",
        "steps": steps,
        "batch_size": batch,
        # A mirror image of grey writing is another sign or none.
        "augment": ("views" if live else "dsa") + ("" if channels == 3 else "_upright"),
        "loss": "soft_cross_entropy",
    }
