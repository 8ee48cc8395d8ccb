"""The hub's client: whether it is there, whom it asks, and what its errors mean in one line."""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import MissingExtra, one_line

DEFAULT_ENDPOINT = "https://huggingface.co"
LOGIN = "log in with: hf auth login"
LONGEST = 300  # characters of what the client or the hub say


def require_client(purpose: str) -> None:
    """Raise MissingExtra where huggingface_hub is not installed."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingExtra(f"huggingface_hub, which {purpose},", "data")


def endpoint() -> str:
    """Return the address of the hub: ``HF_ENDPOINT``, or the public one."""
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the client's warnings off stderr, and its bars where that is no terminal.

    What the warnings come to is one error, or none.
    """
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    log = logging.getLogger("huggingface_hub")
    before, bars = log.level, not are_progress_bars_disabled() and not sys.stderr.isatty()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)
        if bars:
            disable_progress_bars()
        try:
            yield
        finally:
            if bars:
                enable_progress_bars()
            log.setLevel(before)


def reason(error: BaseException) -> str:
    """Return in one line why the hub's client failed, and what to do about it."""
    from huggingface_hub import errors

    cause = error.__cause__
    wrapped = type(error) is RuntimeError or isinstance(error, errors.LocalEntryNotFoundError)
    if wrapped and cause is not None:
        return reason(cause)
    if isinstance(error, errors.OfflineModeIsEnabled | errors.LocalEntryNotFoundError):
        return "HF_HUB_OFFLINE is set"
    if isinstance(error, errors.GatedRepoError):
        return f"its terms must be accepted there first; then {LOGIN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return "there is no such revision"
    if isinstance(error, errors.EntryNotFoundError):
        return "there is no such file"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no such repository, or it is private: {LOGIN}"
    if isinstance(error, errors.HfHubHTTPError) and error.response is not None:
        return _status(error.response.status_code, error)
    if "Consistency check failed" in str(error):
        return "the transfer broke off"
    return one_line(error)[:LONGEST]


def _status(status: int, error: BaseException) -> str:
    if status == 401:
        return f"the hub asks for a valid token: {LOGIN}"
    if status == 403:
        return f"the token has no right to do this: {LOGIN} with another"
    if status == 404:
        return "it is not there"
    if status in (409, 412):
        return "somebody else has changed the repository meanwhile"
    if status == 429:
        return "too many requests; wait some minutes"
    if status >= 500:
        return f"the hub is in trouble, status {status}; try again later"
    return one_line(error)[:LONGEST]
