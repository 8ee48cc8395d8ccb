"""How to learn from generated images, written into every file."""

from __future__ import annotations

from typing import Any

from ..shared.recipe import student_recipe


def recipe_of(
    channels: int, height: int, width: int, images: int, patches: int, classes: int, one_hot: bool
) -> dict[str, Any]:
    """Return the recipe of ``images`` a variation with ``patches`` labels each.

    The students of LIC, as both papers train alike. Stored soft labels belong to images as they
    are, so those are not changed; with one-hot labels they are (paper, section 4.2).
    """
    recipe = student_recipe(channels, height, width, images, patches, classes)
    return recipe if one_hot else recipe | {"augment": "none"}
