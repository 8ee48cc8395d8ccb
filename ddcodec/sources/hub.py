"""Known data sets from the Hugging Face hub, only when the user has asked for it."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import SourceError
from ..hub.client import endpoint, reason, require_client
from .named import Known


class File(NamedTuple):
    """A file on the hub."""

    path: str  # in the repository
    size: int  # bytes
    sha256: str  # hex


def fetch(name: str, known: Known, place: Path) -> None:
    """Put the data set into the folder ``place``, which appears whole or not at all.

    Files that have come whole stay beside it in ``<name>.partial``, and the next call goes on from
    there. Every file's SHA-256 is checked, against this package's own table where that has one,
    else against what the hub states for the revision. Raises SourceError, in one line, for whatever
    goes wrong; MissingExtra without huggingface_hub.
    """
    require_client("downloads data sets")
    partial = place.with_name(f"{place.name}.partial")
    hub = endpoint()
    try:
        files = _list(known, hub)
        _check_room(files, partial)
        for file in files:
            _download(known, file, partial, hub)
        shutil.rmtree(partial / ".cache", ignore_errors=True)  # huggingface_hub's own notes
        partial.rename(place)
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from None
    # Network, disk and hub fail in ways that huggingface_hub reports by many exceptions.
    except Exception as error:
        there = partial.exists()
        kept = f"what has come is kept in {partial}" if there else f"{place} is not there"
        raise SourceError(
            f"{name}: cannot be fetched from {hub}/datasets/{known.repo} ({reason(error)}); "
            f"{kept}, run the same command to go on"
        ) from None


def _list(known: Known, hub: str) -> list[File]:
    """Return the shards of both splits at the pinned revision."""
    from huggingface_hub import HfApi

    info: Any = HfApi(endpoint=hub).dataset_info(
        known.repo, revision=known.revision, files_metadata=True
    )
    # No other name is accepted, so none can lead out of the folder.
    shard = re.compile(
        rf"{known.folder}/((?:train|{known.test})-[0-9]+-of-[0-9]+[0-9a-f-]*\.parquet)"
    )
    files = []
    for entry in info.siblings:
        found = shard.fullmatch(entry.rfilename)
        if found is None:
            continue
        stated = entry.lfs.sha256 if entry.lfs is not None else None
        sha256 = known.sha256.get(found[1], stated)
        if sha256 is None or stated not in (None, sha256) or entry.size is None:
            raise SourceError(
                f"{known.repo} states another SHA-256 or none for {entry.rfilename} than is "
                "known; do not use it"
            )
        files.append(File(entry.rfilename, entry.size, sha256))
    for split in ("train", known.test):
        if not any(file.path.startswith(f"{known.folder}/{split}-") for file in files):
            raise SourceError(f"{known.repo} has no {split} files at revision {known.revision}")
    return sorted(files, key=lambda file: file.path)


def _check_room(files: list[File], partial: Path) -> None:
    partial.mkdir(parents=True, exist_ok=True)
    there = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
    needed, free = sum(file.size for file in files) - there, shutil.disk_usage(partial).free
    if needed > free:
        raise SourceError(
            f"needs {needed / 1e6:,.0f} MB in {partial}, where {free / 1e6:,.0f} MB are free; "
            "set DDCODEC_DATA to a larger disk"
        )


def _download(known: Known, file: File, partial: Path, hub: str) -> None:
    from huggingface_hub import hf_hub_download

    at = {"repo_type": "dataset", "revision": known.revision, "endpoint": hub}
    path = Path(hf_hub_download(known.repo, file.path, local_dir=partial, **at))
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != file.sha256:
        path.unlink()
        raise SourceError(
            f"{file.path} of {known.repo} arrived with SHA-256 {found}, not {file.sha256}; "
            "it was removed, run the same command to fetch it again"
        )
