"""An address on the hub becomes a file on this machine, in the cache of the hub's own client."""

from __future__ import annotations

import hashlib
import re
from inspect import signature
from pathlib import Path
from typing import Any

from ..errors import InvalidFile, LimitExceeded, SourceError
from ..format.chunks import ChunkReader
from ..format.opening import reading
from ..limits import Limits
from .address import Address
from .client import endpoint, quiet, reason, require_client

COMMIT = re.compile("[0-9a-f]{40}")


class _TooMuch(Exception):
    """More bytes arrive than the hub has stated."""


def fetch(address: Address, limits: Limits) -> Path:
    """Return the file of an address in the client's cache, fetched where it is not there yet.

    The hub is asked which version is the newest; where it cannot be reached, or HF_HUB_OFFLINE is
    set, the version that came last serves. Errors are those of ``address.local``.
    """
    require_client("reads files from the hub")
    with quiet():
        try:
            path = _current(address, limits)
        except (LimitExceeded, SourceError):
            raise
        # Network, disk and hub fail in ways that huggingface_hub reports by many exceptions.
        except Exception as error:
            none = "; no copy is in the cache" if _is_away(error) else ""
            raise SourceError(
                f"{address}: cannot be fetched from {endpoint()}: {reason(error)}{none}"
            ) from None
    _check_digest(address, path)
    return path


def _current(address: Address, limits: Limits) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    if COMMIT.fullmatch(address.revision or "") and (copy := _copy(address)):
        return copy  # a commit never changes
    where: dict[str, Any] = {"repo_type": "dataset", "revision": address.revision}
    where["endpoint"] = endpoint()
    try:
        size = get_hf_file_metadata(hf_hub_url(address.repo, address.file, **where)).size
    except Exception as error:
        if _is_away(error) and (copy := _copy(address)):
            return copy
        raise
    if size is None:
        raise SourceError(f"{address}: the hub does not state its size")
    if size > limits.file_bytes:
        raise LimitExceeded(
            f"{address}: {size} bytes, the limit is {limits.file_bytes}", "DDS-E001"
        )
    # Early clients take no bar; the size that they were told is checked all the same.
    if "tqdm_class" in signature(hf_hub_download).parameters:
        where["tqdm_class"] = _meter(size)
    return Path(hf_hub_download(address.repo, address.file, **where))


def _copy(address: Address) -> Path | None:
    """Return the copy of an address in the cache, or None."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(
        address.repo, address.file, revision=address.revision, repo_type="dataset"
    )
    return Path(found) if isinstance(found, str) else None


def _is_away(error: Exception) -> bool:
    """Say whether the hub gives no answer, which a copy in the cache makes up for."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError) and error.response is not None:
        status = error.response.status_code
        return bool(status == 429 or status >= 500)
    return True


def _meter(most: int) -> type[Any]:
    """Return the client's progress bar, which ends a transfer of more than ``most`` bytes."""
    from huggingface_hub.utils import tqdm

    class Meter(tqdm):  # type: ignore[misc]
        arrived = 0

        def update(self, n: float | None = 1) -> bool | None:
            self.arrived += int(n or 0)
            if self.arrived > most:
                raise _TooMuch(f"more than the stated {most} bytes arrive")
            shown: bool | None = super().update(n)
            return shown

    return Meter


def _check_digest(address: Address, path: Path) -> None:
    """Raise SourceError, with both digests, where the file is not the one that was asked for."""
    if address.kind is None:
        return
    if address.kind == "sha256":
        with reading(path), path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    else:
        try:
            # The stated digest counts only if it is that of what the file holds.
            with ChunkReader(path) as reader:
                reader.check_content()
                found = reader.manifest.content_digest
        except InvalidFile as error:
            raise type(error)(f"{address}: {error}", error.code) from None
    if found != address.digest:
        raise SourceError(
            f"{address}: the file there has {address.kind} {found}: it is another one than the "
            "address asks for; an earlier @REVISION may have that"
        )
