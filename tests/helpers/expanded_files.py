"""Files of expanded posters: the valid ones of the vectors, and hostile ones made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ddcodec.format import Manifest, Storage, to_bytes
from tests.helpers.hostile import Change, Forgery, both, set_path
from tests.helpers.small_files import STORAGE, arrays, manifest


def grown(size: Any, **changes: Any) -> Manifest:
    """Return a manifest of a grey poster that is stored as 6 x 10 pixels and expanded to a size."""
    codec = {"name": "podd", "version": 1, "params": {"expanded": size}}
    return manifest(codec=codec, **changes)


def expanded_valid(
    colour: dict[str, Any], poster: dict[str, np.ndarray]
) -> dict[str, tuple[Manifest, dict[str, np.ndarray], dict[str, Storage]]]:
    """Return what valid files hold, by name; given a colour manifest and its 7 x 11 poster."""
    area = {"kind": "learned", "pooling": "area", "grid": [4, 2]}
    three = {"poster": Storage(bits=3), "labels": Storage(bits=4)}
    return {
        "podd-expanded": (grown([9, 15], labels=area), arrays(), three),
        "podd-expanded-colour": (
            grown([7, 29], **colour),
            poster,
            {"poster": Storage(bits=8, per_channel=True, chunk=2)},
        ),
    }


def of_expanded(change: Change) -> Callable[[bytes], bytes]:
    """Change a valid file of an expanded poster instead of the usual one."""

    def make(_: bytes) -> bytes:
        forgery = Forgery.of(to_bytes(grown([9, 15]), arrays(), STORAGE)[0])
        change(forgery)
        return forgery.build()

    return make


SIZE = "codec/params/expanded"
EXPANDED_CASES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    (name, of_expanded(change), code)
    for name, change, code in (
        ("expanded-to-itself", set_path(SIZE, [6, 10]), "DDS-E012"),
        ("expanded-to-less", set_path(SIZE, [9, 9]), "DDS-E012"),
        ("expanded-nine-times", set_path(SIZE, [9, 81]), "DDS-E012"),
        ("expanded-along-an-axis-alone", set_path(SIZE, [9]), "DDS-E012"),
        ("expanded-to-three-axes", set_path(SIZE, [9, 15, 1]), "DDS-E012"),
        ("expanded-to-half-a-pixel", set_path(SIZE, [9, 15.5]), "DDS-E012"),
        ("expanded-to-a-number-of-float", set_path(SIZE, [9.0, 15]), "DDS-E012"),
        ("expanded-to-nothing", set_path(SIZE, [0, 15]), "DDS-E012"),
        ("expanded-to-true", set_path(SIZE, [9, True]), "DDS-E012"),
        ("expanded-to-a-text", set_path(SIZE, "9x15"), "DDS-E012"),
        ("expanded-with-a-filter", set_path("codec/params/filter", "bilinear"), "DDS-E010"),
        ("expanded-to-less-than-a-patch",
            both(set_path("image/height", 10), set_path("image/width", 4)), "DDS-E012"),
        ("expanded-in-stages", set_path("codec/name", "ppodd"), "DDS-E010"),
        ("expanded-images", set_path("codec/name", "images"), "DDS-E010"),
    )
]  # fmt: skip
