"""What is known of a set beside its data: where it was published, and what its authors state.

It stands in a manifest under ``ignorable.published`` (specification, section 4.1): no reader needs
it, and one that finds anything else there passes it over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from ..format import Manifest
from ..format.values import is_number, is_text

NAME = "published"
ARXIV = re.compile(r"(?:arxiv:)?(\d{4}\.\d{4,5}(?:v\d+)?|[a-z.-]+/\d{7})", re.IGNORECASE)
DOI = re.compile(r"(?:doi:|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.IGNORECASE)


def statement(
    cite: str | None = None,
    url: str | None = None,
    stated: float | None = None,
    network: str | None = None,
) -> dict[str, Any]:
    """Return ``published``: only what is there.

    Args:
        cite: an arXiv id or a DOI.
        url: where the set was found, http or https.
        stated: the accuracy that its authors state, a share of 1, of ``network``.

    Raises UsageError for what is none of these.
    """
    found: dict[str, Any] = {}
    if cite is not None:
        found["cite"] = citation(cite)
    if url is not None:
        if not re.match(r"https?://[^\s/]+", url) or not is_text(url):
            raise UsageError(f"`url`={url[:80]!r}: is no address that begins with https://")
        found["url"] = url
    if stated is not None:
        found["stated"] = {"accuracy": float(f"{stated:.4g}")}
        if network is not None:
            if not is_text(network):
                raise UsageError("`stated_network` must be a short text")
            found["stated"]["network"] = network
    return found


def citation(text: str) -> str:
    """Return ``arXiv:2006.05929`` or ``doi:10.1000/182``; raises UsageError for anything else."""
    if match := ARXIV.fullmatch(text.strip().removeprefix("https://arxiv.org/abs/")):
        return f"arXiv:{match[1]}"
    if (match := DOI.fullmatch(text.strip())) and is_text(match[1]):
        return f"doi:{match[1]}"
    raise UsageError(f"`cite`={text[:80]!r}: is neither an arXiv id nor a DOI")


def published(manifest: Manifest) -> dict[str, Any]:
    """Return what a file says of where it was published: well-formed fields, all others left out.

    ``cite`` and ``url`` are texts; ``stated`` is {``accuracy``, a share of 1, ``network``}. They
    come from whoever wrote the file: show them, open nothing because of them.
    """
    given = manifest.ignorable.get(NAME)
    if not isinstance(given, Mapping):
        return {}
    found = {name: given[name] for name in ("cite", "url") if is_text(given.get(name))}
    stated = given.get("stated")
    if isinstance(stated, Mapping) and is_number(stated.get("accuracy"), 0, 1):
        found["stated"] = {"accuracy": stated["accuracy"]}
        if is_text(stated.get("network")):
            found["stated"]["network"] = stated["network"]
    return found
