"""Every error that ddcodec raises on purpose, and the exit code that the command line gives it.

    DDSetError                    1   the root; catch this one
    ├── UsageError                2   an argument is wrong
    │   └── CheckpointMismatch    2   a checkpoint belongs to another run
    ├── InvalidFile               3   the file breaks the format (``code`` is its DDS-E number)
    │   └── LimitExceeded         3   the file asks for more than a cap allows
    ├── Unsupported               4   a valid file or request that this version cannot serve
    │   └── MissingExtra          4   an optional dependency is not installed
    ├── SourceError               5   the data set to read is missing or broken
    └── OutputError               5   the result cannot be written

A message is one line: what was found, where, and what to do about it.
"""

from __future__ import annotations


class DDSetError(Exception):
    """Root of the tree; ``exit_code`` is the process exit code that belongs to the error."""

    exit_code = 1


class UsageError(DDSetError):
    """An argument has a value that cannot work."""

    exit_code = 2


class CheckpointMismatch(UsageError):
    """A checkpoint was written by a run with another source or other parameters."""


class InvalidFile(DDSetError):
    """The bytes are not a valid ``.ddset`` file; ``code`` names the broken rule (DDS-E0xx)."""

    exit_code = 3

    def __init__(self, message: str, code: str = "DDS-E000") -> None:
        super().__init__(message)
        self.code = code


class LimitExceeded(InvalidFile):
    """The file would need more memory, tensors or depth than the caller's limits allow."""


class Unsupported(DDSetError):
    """A newer format, an unknown codec, or a request that this version cannot serve."""

    exit_code = 4


class MissingExtra(Unsupported):
    """An optional dependency is needed; the message names the extra that brings it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed; run: pip install 'ddcodec[{extra}]'")
        self.extra = extra


class SourceError(DDSetError):
    """The source images or labels are missing, unreadable or inconsistent."""

    exit_code = 5


class OutputError(DDSetError):
    """The output cannot be written; nothing was changed."""

    exit_code = 5


def one_line(error: BaseException) -> str:
    """Return what an error of the system or of a library says, without line breaks."""
    said = " ".join(str(getattr(error, "strerror", None) or error).split())
    return said or type(error).__name__
