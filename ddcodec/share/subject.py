"""A file as its card, its Croissant metadata and a gallery see it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..codecs.base import Paper
from ..codecs.registry import CODECS
from ..format import Manifest, read_manifest
from ..format.opening import reading
from ..inspection.info import examined
from ..inspection.published import Published

PICTURE = "preview.png"
SIDECAR = "data/train-00000-of-00001.parquet"


@dataclass(frozen=True)
class Stored:
    """A file beside the page: its path there, its size, and its SHA-256 in hex."""

    path: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, folder: Path, path: str) -> Stored:
        place = folder / path
        with reading(place), place.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return cls(path, place.stat().st_size, digest)


@dataclass(frozen=True)
class Subject:
    """One file, and what is published with it.

    Attributes:
        file: the ``.ddset`` itself.
        manifest, facts, rows: what it says, and what ``info`` says of it.
        repo: ``OWNER/NAME`` on the hub, or None where that is not known.
        sidecar: the decoded images and labels as parquet, None where there are none.
        samples: training samples that the file defines, where it was decoded.
        pictured: whether there is a picture of it.
    """

    file: Stored
    manifest: Manifest
    facts: dict[str, Any]
    rows: list[tuple[str, str]]
    repo: str | None = None
    sidecar: Stored | None = None
    samples: int | None = None
    pictured: bool = False

    @property
    def address(self) -> str:
        """What ``ddcodec.load`` takes: on the hub pinned by the content digest."""
        if self.repo is None:
            return self.file.path
        digest = self.manifest.content_digest
        return f"hf://datasets/{self.repo}/{self.file.path}#content={digest}"

    @property
    def papers(self) -> tuple[Paper, ...]:
        return CODECS[self.manifest.codec["name"]].papers

    @property
    def published(self) -> Published:
        """Where the set was published first, and what its authors state."""
        return Published.of(self.manifest)

    @property
    def citations(self) -> list[str]:
        """Who published the method, and where."""
        return [
            f'{paper.authors}, "{paper.title}"' + (f", {paper.url}" if paper.url else "")
            for paper in self.papers
        ]

    def class_names(self, most: int) -> str:
        """Return up to ``most`` classes in the order of the labels, and how many there are more."""
        names = self.manifest.classes
        more = f" and {len(names) - most:,} more" if len(names) > most else ""
        return ", ".join(names[:most]) + more

    @property
    def source(self) -> str:
        return str(self.manifest.source.get("name") or "an unnamed data set")


def subject_of(path: Path, **published: Any) -> Subject:
    """Return a file as a subject; ``published`` are the fields from ``repo`` on.

    Raises InvalidFile, Unsupported, SourceError as ``info`` does; digests are not checked.
    """
    facts, rows = examined(path)
    manifest, _ = read_manifest(path)
    return Subject(Stored.of(path.parent, path.name), manifest, facts, rows, **published)


def network_text(facts: dict[str, Any]) -> str:
    """Return the network of a file's recipe: ``convnet, 3 blocks of 64, instance norm``."""
    network = facts["recipe"]["network"]
    blocks = "one block" if network["depth"] == 1 else f"{network['depth']} blocks"
    return f"{network['name']}, {blocks} of {network['width']}, {network['norm']} norm"


def settings_text(settings: dict[str, Any]) -> str:
    """Return named settings, the name first: ``adam, lr 0.01``."""
    rest = {name: value for name, value in sorted(settings.items()) if name != "name"}
    parts = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in rest.items()
    ]
    return ", ".join([str(settings.get("name", "")), *parts]).removeprefix(", ")
