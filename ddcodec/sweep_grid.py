"""What a sweep varies, what all its points have in common, and the commands that repeat them."""

from __future__ import annotations

import hashlib
import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__, sources
from .codecs.podd.precision import quality_bits
from .encoder import choose_device
from .errors import SourceError, UsageError

if TYPE_CHECKING:
    from .sources.base import Source


@dataclass(frozen=True)
class Grid:
    """What is varied: budgets in images per class, qualities of ``encode``, seeds."""

    ipc: tuple[float, ...]
    quality: tuple[str, ...] = ("high",)
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        for name, values in (("--ipc", self.ipc), ("quality", self.quality), ("seed", self.seeds)):
            if not values:
                raise UsageError(f"a sweep needs at least one {name}")
        for ipc in self.ipc:
            if not 0 < ipc < math.inf:
                raise UsageError(f"--ipc must be more than 0, got {ipc:g}")
        for quality in self.quality:
            quality_bits(quality)
        for seed in self.seeds:
            if seed < 0:
                raise UsageError(f"--seed must be 0 or more, got {seed}")

    def sizes(self) -> Iterator[tuple[float, str]]:
        """Give every (budget, quality), each once, small budgets first."""
        for ipc in sorted(set(self.ipc)):
            yield from ((ipc, quality) for quality in dict.fromkeys(self.quality))


@dataclass(frozen=True)
class Settings:
    """What all points have in common.

    Attributes:
        encode: further arguments of ``encode`` that differ from their defaults, by name:
            ``codec``, ``profile``, ``steps``, ``time``, ``order``, ``labels`` and so on.
        nets: networks that learn from each file and baseline.
        train_steps: their steps, instead of the recipe's.
        test: what to test on, by default the test split of the source.
        baselines: measure them too.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        size, download: as for ``sources.load``.
    """

    encode: Mapping[str, Any] = field(default_factory=dict)
    nets: int = 8
    train_steps: int | None = None
    test: str | None = None
    baselines: bool = True
    device: str = "auto"
    size: int | None = None
    download: bool = False

    def __post_init__(self) -> None:
        for option, value in (("--nets", self.nets), ("--train-steps", self.train_steps)):
            if value is not None and value < 1:
                raise UsageError(f"{option} must be at least 1, got {value}")


def commands(spec: str, name: str, recorded: str, settings: Settings) -> list[str]:
    """Return the command that makes the file ``name`` again, and the one that measures it.

    ``recorded`` is the command in the file: complete, with the steps that were done, but without
    the paths of the machine it was made on. They are put back.
    """
    words = shlex.split(recorded)
    words[2] = spec
    lic = settings.encode.get("lic")
    paths = {"--order": settings.encode.get("order"), "--observer": lic and lic.observer}
    for option, path in paths.items():
        if path is not None and option in words:
            words[words.index(option) + 1] = os.fspath(path)
    device = [] if settings.device == "auto" else ["--device", settings.device]
    train = ["ddcodec", "train", name, "--nets", str(settings.nets)]
    if settings.test is not None or spec not in sources.names():
        train += ["--test", settings.test or spec]
    if settings.train_steps is not None:
        train += ["--steps", str(settings.train_steps)]
    if settings.size is not None:
        train += ["--size", str(settings.size)]
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
        "profile": profile,
        "encode": {name: _plain(value) for name, value in sorted(options.items())},
        "nets": settings.nets,
        "train_steps": settings.train_steps,
    }


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, os.PathLike):
        # The name may stay while the file changes.
        return {"file": Path(value).name, "sha256": _sha256(Path(value))}
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
