"""What a sweep varies, what all its points have in common, and the commands that repeat them."""

from __future__ import annotations

import hashlib
import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import __version__, sources
from ..codecs.podd.stored import StoredBits
from ..errors import SourceError, UsageError
from ..preprocessing.transform import KINDS
from ..runtime.arguments import settle, whole
from ..runtime.device import choose_device

if TYPE_CHECKING:
    from ..sources.base import Source


AUTO = "auto"  # as encode chooses


class Place(NamedTuple):
    """A place of the grid: arguments of ``encode``, ``auto`` where they are left to it.

    Its budget is ``ipc`` or ``total_bytes``; the other one is None.
    """

    ipc: float | None
    quality: str = AUTO
    preprocessing: str = AUTO
    total_bytes: int | None = None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Place:
        """Return the place of a point or baseline; records of earlier versions know no bytes."""
        budget = entry.get("total_bytes")
        return cls(entry["ipc"], entry["quality"], entry["preprocessing"], budget)

    @property
    def varied(self) -> dict[str, Any]:
        """Its arguments of ``encode``."""
        return {n: value for n, value in self._asdict().items() if value not in (AUTO, None)}

    @property
    def budget(self) -> str:
        """What its files may take: ``0.4 IPC`` or ``6,250 bytes``."""
        if self.total_bytes is None:
            return f"{self.ipc:.12g} IPC"
        return f"{self.total_bytes:,} bytes"

    @property
    def rank(self) -> tuple[bool, float]:
        """Order of places: bytes first, since only an encode finds that they are too few."""
        return (self.total_bytes is None, self.ipc or self.total_bytes or 0)

    @property
    def parts(self) -> list[str]:
        """What is set, but for the budget: ``["bits=4", "conv_whiten"]``."""
        return [part for part in (self.quality, self.preprocessing) if part != AUTO]

    def __str__(self) -> str:
        return ", ".join([self.budget, *self.parts])

    def file_name(self, seed: int) -> str:
        """Return the name of its file: ``ipc0.4-bits4-seed0.ddset``, ``bytes6250-seed0.ddset``."""
        budget = f"bytes{self.total_bytes}" if self.ipc is None else f"ipc{self.ipc:.12g}"
        parts = (part.replace("=", "") for part in self.parts)
        return "-".join([budget, *parts, f"seed{seed}.ddset"])


@dataclass(frozen=True)
class Grid:
    """What is varied: budgets, qualities, seeds, kinds of preprocessing.

    Budgets are images per class or bytes of whole files; there may be some of both.
    """

    ipc: tuple[float, ...] = ()
    quality: tuple[str, ...] = (AUTO,)
    seeds: tuple[int, ...] = (0,)
    preprocessing: tuple[str, ...] = (AUTO,)
    total_bytes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.ipc and not self.total_bytes:
            raise UsageError("a sweep needs at least one budget: `ipc` or `total_bytes`")
        for name in ("quality", "seeds", "preprocessing"):
            if not getattr(self, name):
                raise UsageError(f"a sweep needs at least one `{name.removesuffix('s')}`")
        for ipc in self.ipc:
            if not 0 < ipc < math.inf:
                raise UsageError(f"`ipc` must be more than 0, got {ipc:g}")
        settle(self, total_bytes=tuple(whole("total_bytes", n, 1) for n in self.total_bytes))
        for quality in self.quality:
            if quality != AUTO:
                StoredBits.of(quality)
        for kind in self.preprocessing:
            if kind not in (AUTO, *KINDS):
                raise UsageError(
                    f"`preprocessing`={kind} is unknown; use one of: {', '.join((AUTO, *KINDS))}"
                )
        for seed in self.seeds:
            if seed < 0:
                raise UsageError(f"`seed` must be 0 or more, got {seed}")

    def places(self) -> Iterator[Place]:
        """Give every place, each once, in the order of ``Place.rank``, small budgets first."""
        budgets = [*((ipc, None) for ipc in self.ipc), *((None, n) for n in self.total_bytes)]
        found = dict.fromkeys(
            Place(ipc, quality, kind, total)
            for (ipc, total), quality, kind in product(budgets, self.quality, self.preprocessing)
        )
        yield from sorted(found, key=lambda place: place.rank)


@dataclass(frozen=True)
class Settings:
    """What all points have in common: further arguments of ``encode``, and how files are measured.

    ``device`` is that of both; ``size``, ``test_share`` and ``download`` are as for
    ``sources.load``.
    """

    encode: Mapping[str, Any] = field(default_factory=dict)  # that differ from their defaults
    nets: int = 8  # that learn from each file and baseline
    train_steps: int | None = None  # instead of the recipe's
    test: str | None = None  # by default the test split of the source
    baselines: bool = True
    device: str = "auto"
    size: int | None = None
    test_share: float | None = None
    download: bool = False

    def __post_init__(self) -> None:
        settle(self, nets=whole("nets", self.nets, 1))
        if self.train_steps is not None:
            settle(self, train_steps=whole("train_steps", self.train_steps, 1))


def quality_title(quality: str) -> str:
    """Return ``bits=4`` as people say it, ``4 bits``; other names stay."""
    return f"{quality[5:]} bits" if quality.startswith("bits=") else quality


def commands(spec: str, name: str, recorded: str, settings: Settings) -> list[str]:
    """Return the command that makes the file ``name`` again, and the one that measures it.

    ``recorded`` is the command in the file: complete, with the steps that were done, but without
    the paths of the machine it was made on. They are put back.
    """
    words = shlex.split(recorded)
    words[2] = spec
    paths = {"--order": settings.encode.get("order"), "--observer": settings.encode.get("observer")}
    for option, path in paths.items():
        if path is not None and option in words:
            words[words.index(option) + 1] = os.fspath(path)
    device = [] if settings.device == "auto" else ["--device", settings.device]
    flags = {
        "--nets": settings.nets,
        "--test": settings.test or (None if spec in sources.names() else spec),
        "--steps": settings.train_steps,
        "--size": settings.size,
        "--test-share": settings.test_share,
    }
    given = [(flag, str(value)) for flag, value in flags.items() if value is not None]
    train = ["ddcodec", "train", name, *chain.from_iterable(given)]
    return [shlex.join([*words, *device, "-o", name]), shlex.join([*train, *device])]


def identity(source: Source, test: Source, settings: Settings) -> dict[str, Any]:
    """Return what must not change within one folder."""
    options = dict(settings.encode)
    profile = options.pop("profile", "auto")
    if profile == "auto":
        profile = f"auto on {choose_device(settings.device).type}"
    return {
        "tool": f"ddcodec {__version__}",
        "source": source.name,
        "digest": source.digest(),
        "test": test.name,
        "test_images": len(test.require_test().labels),
        "size": settings.size,
        "test_share": settings.test_share,
        "profile": profile,
        "encode": {name: _plain(value) for name, value in sorted(options.items())},
        "nets": settings.nets,
        "train_steps": settings.train_steps,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        # The name may stay while the file changes.
        return {"file": Path(value).name, "sha256": _sha256(Path(value))}
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
