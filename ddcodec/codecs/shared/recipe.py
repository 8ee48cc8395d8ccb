"""How to learn from squeezed images (paper, appendix D, table 4), written into every file."""

from __future__ import annotations

from typing import Any

BATCH = 128
EPOCHS, EPOCHS_MANY_CLASSES = 1000, 300
MANY_CLASSES = 1000


def student_recipe(
    channels: int, height: int, width: int, mosaics: int, regions: int, classes: int
) -> dict[str, Any]:
    """Return the recipe of a file of ``mosaics`` with ``regions`` training images each.

    In the paper every epoch shows one region of each mosaic, drawn evenly from its cells and the
    mosaic as a whole; here batches are drawn from all regions, which shows them as often. A batch
    is never smaller than what there is: a step costs the same and no image waits for its turn.
    """
    side, depth = min(height, width), 0
    while side >> (depth + 1) >= 4:
        depth += 1
    epochs = EPOCHS if classes < MANY_CLASSES else EPOCHS_MANY_CLASSES
    return {
        "network": {
            "name": "convnet",
            "norm": "instance",
            "depth": max(2, min(5, depth)),
            "width": 128,
        },
        "optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 1e-4},
        "schedule": "multistep",
        "steps": epochs * -(-mosaics // BATCH),
        "batch_size": min(BATCH, mosaics * regions),
        # A mirror image of grey writing is another sign or none.
        "augment": "dsa" if channels == 3 else "dsa_upright",
        "loss": "soft_cross_entropy",
    }
