"""A file goes to the Hugging Face hub, with its page, in one commit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OutputError, UsageError
from ..hub.address import check_repo, parse
from ..hub.client import LOGIN, endpoint, quiet, reason, require_client
from .page import CARD


@dataclass(frozen=True)
class Place:
    """A repository as it was found: ``commit`` is its newest, None where it has to be made."""

    repo: str
    commit: str | None


def check_names(path: Path, repo: str) -> None:
    """Raise UsageError where no address could name the file in the repository."""
    check_repo(repo)
    try:
        parse(f"hf://datasets/{repo}/{path.name}")
    except UsageError:
        raise UsageError(
            f"{path.name}: cannot be named in an address; rename it to letters, digits, dots and "
            "dashes that end in .ddset"
        ) from None


def find_place(path: Path, repo: str, *, create: bool, overwrite: bool) -> Place:
    """Look at the repository that a file is to go to; nothing is changed yet.

    Raises OutputError where it cannot be reached, is not there without ``create``, or holds a card
    or this file already without ``overwrite``.
    """
    require_client("writes to the hub")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    with quiet():
        try:
            info: Any = HfApi(endpoint=endpoint()).dataset_info(repo)
        except RepositoryNotFoundError:
            if not create:
                raise OutputError(
                    f"{repo}: there is no such data set repository, or it is private: make it with "
                    f"`create`, or {LOGIN}"
                ) from None
            return Place(repo, None)
        except Exception as error:  # many kinds, see ``reason``
            raise _failed(repo, error) from None
    there = {entry.rfilename for entry in info.siblings or ()} & {CARD, path.name}
    if there and not overwrite:
        raise OutputError(
            f"{repo}: has {' and '.join(sorted(there))} already; replace what is there with "
            "`overwrite` (earlier commits keep it)"
        )
    return Place(repo, info.sha)


def files_of(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by the paths that they are to have in a repository."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found}


def push_files(
    files: Mapping[str, Path], place: Place, title: str, *, private: bool = False
) -> str:
    """Send files in one commit, and return the commit's name (40 hex digits).

    ``files`` are by their paths in the repository, which is made first where it has to be. Raises
    OutputError, in one line; the repository then is as it was, or new and empty.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(endpoint=endpoint())
    operations = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
    parent = place.commit
    with quiet():
        try:
            if parent is None:
                api.create_repo(place.repo, repo_type="dataset", private=private)
            done: Any = api.create_commit(
                place.repo,
                operations,
                commit_message=title,
                repo_type="dataset",
                parent_commit=parent,
            )
        except Exception as error:  # many kinds, see ``reason``
            raise _failed(place.repo, error) from None
    commit = str(done.oid)
    if not re.fullmatch("[0-9a-f]{40}", commit):
        raise OutputError(f"{place.repo}: the hub answers with no commit")
    return commit


def _failed(repo: str, error: Exception) -> OutputError:
    return OutputError(
        f"{repo}: cannot be written to at {endpoint()}: {reason(error)}; its files are as they were"
    )
