"""The data sets known by name: where they are looked for, and where the hub keeps them.

What is said of the hub was read in public pages and code, not from the hub itself: repositories,
files and columns of all seven; the revisions in code that pins them (for cub200 in the hub's own
list of commits); the digests where at least two independent projects state the same.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SourceError

BUNDLED = "digits"


@dataclass(frozen=True)
class Known:
    """A data set on the Hugging Face hub, as parquet files ``<folder>/<split>-*.parquet``."""

    repo: str
    revision: str  # commit, 40 hex digits
    folder: str
    megabytes: int  # about what is fetched
    test: str = "test"  # the split with labels that is not train
    size: int | None = None  # pixels a side to which images are scaled by default
    sha256: Mapping[str, str] = field(default_factory=dict, hash=False)  # of files, where known
    classes: tuple[str, ...] = ()  # for layouts that hold no names, spelt as on the hub


def _shards(train: str, test: str) -> Mapping[str, str]:
    """Return the digests of a data set in two files."""
    return {f"{name}-00000-of-00001.parquet": d for name, d in (("train", train), ("test", test))}


KNOWN: Mapping[str, Known] = {
    "cifar10": Known(
        repo="uoft-cs/cifar10",
        revision="0b2714987fa478483af9968de7c934580d0bb9a2",
        folder="plain_text",
        megabytes=144,
        sha256=_shards(
            "8428b53a88a11ac374111006708df51469e315a22ac6d66470afd9c78d2ae883",
            "841389e6f2d64f28bf17310e430aebac20ec3ba611a3c5e231dc93c645ce84de",
        ),
    ),
    "cifar100": Known(
        repo="uoft-cs/cifar100",
        revision="aadb3af77e9048adbea6b47c21a81e47dd092ae5",
        folder="cifar100",
        megabytes=142,
        sha256=_shards(
            "694865d6b990e234804f01268586c41e88bcbbb75e20858432c05ad4081aca23",
            "98776c529bb146a9c791229df74a5cf076be9b43d82dbbd334b6a7788d73dc68",
        ),
    ),
    "cub200": Known(
        repo="bentrevett/caltech-ucsd-birds-200-2011",
        revision="c1492c7cfd03de0c6b57b19f1d89cefd446e41fb",
        folder="data",
        megabytes=1145,
        size=32,  # as in the papers on distillation
    ),
    "fashion-mnist": Known(
        repo="zalando-datasets/fashion_mnist",
        revision="531be5e2ccc9dba0c201ad3ae567a4f3d16ecdd2",
        folder="fashion_mnist",
        megabytes=36,
        classes=(
            *("T - shirt / top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    "imagenet-1k": Known(
        repo="ILSVRC/imagenet-1k",
        revision="49e2ee26f3810fb5a7536bbf732a7b07389a47b5",
        folder="data",
        test="validation",
        megabytes=154_000,  # for an account that has accepted the terms
    ),
    "mnist": Known(
        repo="ylecun/mnist",
        revision="77f3279092a1c1579b2250db8eafed0ad422088c",
        folder="mnist",
        megabytes=18,
        sha256=_shards(
            "f2c01285a9f89399335b00ee4e8d499dc4e46db5e39c74903ce5618d895eb3bf",
            "d49fcf556ce25b002b302e318ce4a11098bbfe5d4499c3f35d7c72297c52374b",
        ),
    ),
    "tiny-imagenet": Known(
        repo="zh-plus/tiny-imagenet",
        revision="5a77092c28e51558c5586e9c5eb71a7e17a5e43f",
        folder="data",
        test="valid",
        megabytes=161,
    ),
}


def names() -> tuple[str, ...]:
    """Return the data sets known by name."""
    return (BUNDLED, *KNOWN)


def cache_folder() -> Path | None:
    """Return ``ddcodec`` in the user's cache, or None where there is not even a home.

    That is ``$XDG_CACHE_HOME`` if it is an absolute path, else what the platform has for it.
    """
    told = (Path(os.environ.get(name, "")) for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"))
    cache = next((root for root in told if root.is_absolute()), None)
    if cache is None:
        home = Path(os.path.expanduser("~"))  # noqa: PTH111 - pathlib's raises without a home
        if not home.is_absolute():
            return None
        cache = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return cache / "ddcodec"


def places(name: str) -> list[Path]:
    """Return the folders in which ``name`` is looked for; a download goes to the first.

    They are ``$DDCODEC_DATA/<name>``, where that is set, and ``<name>`` in ``cache_folder``. Raises
    SourceError where there is neither.
    """
    given = os.environ.get("DDCODEC_DATA")
    roots = [Path(os.path.expanduser(given))] if given else []  # noqa: PTH111 - as above
    cache = cache_folder()
    if cache is None and not roots:
        raise SourceError(
            f"{name}: there is no home folder to look in; set DDCODEC_DATA to the folder above it"
        )
    return [root / name for root in [*roots, *([cache] if cache else [])]]


def find(name: str) -> Path | None:
    """Return the folder that holds the data set ``name``, or None; an empty one holds nothing.

    One that may not be looked into is passed over.
    """
    for place in places(name):
        with suppress(OSError):
            if place.is_dir() and next(place.iterdir(), None):
                return place
    return None


def missing(name: str) -> SourceError:
    """Return the error that says where ``name`` was looked for and what to do."""
    looked = " and ".join(map(str, places(name)))
    here = f"; for the folder of that name here write ./{name}" if Path(name).is_dir() else ""
    known = KNOWN[name]
    return SourceError(
        f"{name}: not found; looked in {looked}. `download` fetches about "
        f"{known.megabytes:,} MB from the Hugging Face hub ({known.repo}); or put its files there, "
        f"or set DDCODEC_DATA to the folder above them{here}"
    )
