"""Addresses: ``hf://datasets/OWNER/NAME/FILE.ddset[@REVISION][#sha256=HEX|#content=HEX]``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ..errors import UsageError

SCHEME = "hf://"
FORM = "hf://datasets/OWNER/NAME/FILE.ddset, then @REVISION, #sha256=HEX or #content=HEX as needed"

# Of the names that the hub gives out; none of them can lead out of a folder.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_PART = r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}"
_APART = re.compile(
    # A pathlib.Path has one slash less.
    r"hf:/{1,2}(?P<of>[^/@#]*)/?(?P<repo>[^/@#]*(?:/[^/@#]*)?)/?(?P<file>[^@#]*)"
    r"(?:@(?P<revision>[^#]*))?(?:#(?P<pin>.*))?",
    re.DOTALL,
)
# What each part must be, and how people call it.
_PARTS = {
    "of": ("datasets", "kind of repository that is read, which is datasets"),
    "repo": (f"{_NAME}/{_NAME}", "repository, OWNER/NAME"),
    "file": (rf"(?:{_PART}/){{0,9}}{_PART}\.ddset", "path of a .ddset file in the repository"),
    "revision": (r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}", "revision"),
    "pin": ("(?:sha256|content)=[0-9a-f]{64}", "digest, sha256= or content= and 64 digits 0-9a-f"),
}


@dataclass(frozen=True)
class Address:
    """A file in a data set repository of the hub.

    Attributes:
        repo: ``OWNER/NAME``.
        file: its path in the repository, which ends in ``.ddset``.
        revision: branch, tag or commit; None for the newest.
        kind: what ``digest`` is of: ``sha256`` (the bytes of the file) or ``content`` (its content
            digest, which another compression of the same data set keeps); None without.
        digest: 64 hex digits that the file must have, or None.
    """

    repo: str
    file: str
    revision: str | None = None
    kind: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        revision = "" if self.revision is None else f"@{self.revision}"
        pin = "" if self.kind is None else f"#{self.kind}={self.digest}"
        return f"{SCHEME}datasets/{self.repo}/{self.file}{revision}{pin}"


def is_address(path: str | os.PathLike[str] | bytes) -> bool:
    """Say whether ``path`` means a file on the hub: it begins with ``hf://``.

    Text with one slash is a path; a ``Path`` that was made of an address has lost the other one.
    """
    if isinstance(path, str | bytes):
        return isinstance(path, str) and path.startswith(SCHEME)
    return os.fspath(path).startswith("hf:/datasets/")


def parse(path: str | os.PathLike[str]) -> Address:
    """Return the parts of an address; raises UsageError, naming what is wrong, for what is none."""
    text = os.fspath(path)
    found = _APART.fullmatch(text)
    assert found is not None, text  # it is an address by how it begins
    parts = found.groupdict()
    for name, (pattern, called) in _PARTS.items():
        part = parts[name]
        if part is None or (re.fullmatch(pattern, part) and ".." not in part):
            continue
        wrong = f"{part!r} is no {called}" if part else f"it lacks the {called}"
        raise UsageError(f"{text}: is no address on the hub: {wrong}; write {FORM}")
    kind, _, digest = (parts["pin"] or "").partition("=")
    return Address(parts["repo"], parts["file"], parts["revision"], kind or None, digest or None)


def check_repo(repo: str) -> str:
    """Return ``OWNER/NAME`` as it is; raises UsageError for what can be no repository."""
    if not re.fullmatch(_PARTS["repo"][0], repo) or ".." in repo or "--" in repo:
        raise UsageError(f"{repo}: is no name of a repository; write OWNER/NAME")
    return repo
