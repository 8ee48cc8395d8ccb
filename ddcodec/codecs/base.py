"""The interface of a method: all that the rest of the program asks of one."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import Unsupported
from .options import Options

if TYPE_CHECKING:
    import torch

    from ..format import ChunkReader, DDSetFile, Manifest, Sizes
    from ..limits import Limits
    from ..nn.views import Teacher
    from ..runtime.progress import Reporter
    from ..sources.base import Source
    from .samples import Samples

Arrays = Mapping[str, NDArray[Any]]
CACHE_BYTES = 8 << 30  # of a cache folder, unless the caller says otherwise


@dataclass(frozen=True)
class Request:
    """One call of ``encode``, checked as far as codecs have it in common.

    Attributes:
        source: the images to distil.
        out: the file to write.
        device: where to compute.
        seed: >= 0; everything random follows from it.
        resume: go on from what an earlier call kept beside ``out``.
        download: fetch what is not here.
        reporter: told of stages and steps.
        started: ``time.monotonic()`` at the beginning of the call.
    """

    source: Source
    out: Path
    device: torch.device
    seed: int
    resume: bool
    download: bool
    reporter: Reporter
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class ModelPlace:
    """Where a file that needs a model finds it.

    Attributes:
        prior: folder, or id in the hub's local cache; None where none was given.
        cache: folder for generated images, or None; cache_bytes: the most that it may hold.
        download: whether an id that is not here may be fetched.
    """

    prior: str | os.PathLike[str] | None = None
    cache: str | os.PathLike[str] | None = None
    cache_bytes: int = CACHE_BYTES
    download: bool = False


@dataclass(frozen=True)
class Description:
    """What ``info`` says of a file that only its method knows.

    Attributes:
        pixels: stored pixels as the papers count them, channels not counted.
        facts: more fields of the JSON, each a JSON value.
        rows: (name, text) for people, a line each.
    """

    pixels: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Pictures:
    """What ``preview`` draws of a file: its posters, or else a sheet of samples.

    Attributes:
        posters: float32 (C, H, W) each, in the space of the preprocessing.
        grid, cells: class cells (x, y) and the class of each, row by row, for posters.
        left, top: where the columns and the rows of patches of a poster begin, for posters.
        samples: indices of the samples that are worth a place on a sheet.
        noun: what a sample is called.
    """

    posters: Sequence[NDArray[np.float32]] = ()
    grid: tuple[int, int] = (1, 1)
    cells: Sequence[int] = ()
    left: Sequence[int] = ()
    top: Sequence[int] = ()
    samples: Sequence[int] = ()
    noun: str = "images"


class Paper(NamedTuple):
    """Where a method was published.

    Attributes:
        authors, title: as one cites it.
        url: of arXiv (``https://arxiv.org/abs/ID``) or where else it is found; None for no place.
    """

    authors: str
    title: str
    url: str | None = None

    @property
    def arxiv(self) -> str | None:
        """The id on arXiv, or None."""
        place, _, name = (self.url or "").rpartition("/")
        return name if place == "https://arxiv.org/abs" else None


class ChunkDecoder(Protocol):
    """Decodes a file chunk by chunk; ``per_row`` is the samples of a stored row."""

    per_row: int

    def read(
        self, reader: ChunkReader, chunk: int, plain: bool = True
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return images (n, C, H, W) and labels of a chunk, both as they are stored.

        Where not ``plain``, a teacher labels what becomes of the images, and these are anything.
        """

    def teacher(self, reader: ChunkReader) -> Teacher | None:
        """Return the network that labels views, where the file says so; see ``Samples``."""

    def soft(self, labels: NDArray[Any]) -> NDArray[np.float32]:
        """Return labels that ``read`` gave as soft labels float32 (n, classes)."""


class Codec(ABC):
    """A method, under a name in the registry.

    Its module imports no torch: ``encode`` and ``decode`` import what they need when called.

    Attributes:
        name: in files and on the command line.
        title: a line about the method.
        papers: where the method was published.
        Options: the options of its encoder; None where files of it come from another call.
        inseparable: why files without ``chunks`` cannot be joined, or cut by class.
        in_chunks: whether few images are stored in a chunk too, not in one piece.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    papers: ClassVar[tuple[Paper, ...]] = ()
    Options: ClassVar[type[Options] | None] = None
    inseparable: ClassVar[str] = "its samples are not stored one by one"
    in_chunks: ClassVar[bool] = False

    @abstractmethod
    def check(self, manifest: Manifest, limits: Limits) -> None:
        """Check all that needs no tensor data; raises InvalidFile or LimitExceeded."""

    def check_values(self, manifest: Manifest, arrays: Arrays) -> None:  # noqa: B027
        """Check what depends on the values of decoded tensors or chunks; raises InvalidFile."""

    def encode(self, request: Request, options: Any) -> Manifest:
        """Distil the images of a request into its file and return the manifest.

        Raises UsageError for what cannot work, before any work; KeyboardInterrupt with the work
        kept beside the file.
        """
        raise Unsupported(f"the codec {self.name} has no encoder")

    @abstractmethod
    def decode(self, file: DDSetFile, place: ModelPlace) -> Samples:
        """Return the training set of a file; raises Unsupported where a model is missing."""

    @abstractmethod
    def describe(self, manifest: Manifest, sizes: Sizes) -> Description:
        """Return what ``info`` says of a file, from its header alone."""

    def pictures(self, manifest: Manifest, arrays: Arrays, count: int) -> Pictures:
        """Return what ``preview`` draws of a file of ``count`` samples."""
        return Pictures(samples=range(count))

    def chunks(self, manifest: Manifest) -> ChunkDecoder | None:
        """Return what decodes the file in chunks; None where it must be read as a whole."""
        return None
