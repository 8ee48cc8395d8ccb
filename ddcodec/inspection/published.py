"""What is known of a set beside its data: where it was published, and what its authors state.

It stands in a manifest under ``ignorable.published`` (specification, section 4.1): no reader needs
it, and one that finds anything else there passes it over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import UsageError
from ..format import Manifest
from ..format.values import is_number, is_text

NAME = "published"
ARXIV = re.compile(r"(?:arxiv:)?(\d{4}\.\d{4,5}(?:v\d+)?|[a-z.-]+/\d{7})", re.IGNORECASE)
DOI = re.compile(r"(?:doi:|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.IGNORECASE)

CITED = re.compile(r"(?:arXiv|doi):[A-Za-z0-9./()_:;-]+")
ADDRESS = re.compile(r"https?://[^\s<>\"]+")


class Published(NamedTuple):
    """What ``published`` returns, field by field; None for what is not there.

    Attributes:
        cite: ``arXiv:ID`` or ``doi:ID``.
        url: where the set was found, http or https.
        accuracy: what its authors state, a share of 1; ``network``: of which network.
    """

    cite: str | None = None
    url: str | None = None
    accuracy: float | None = None
    network: str | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> Published:
        """Return what a manifest says."""
        found = published(manifest)
        stated = found.get("stated", {})
        return cls(
            found.get("cite"), found.get("url"), stated.get("accuracy"), stated.get("network")
        )

    @property
    def link(self) -> str | None:
        """Where ``cite`` leads."""
        kind, _, name = (self.cite or "").partition(":")
        places = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
        return places[kind] + name if kind in places else None

    @property
    def arxiv(self) -> str | None:
        """The id on arXiv without its version, or None."""
        found = re.fullmatch(r"arXiv:(\d{4}\.\d{4,5})(v\d+)?", self.cite or "")
        return found[1] if found else None


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
        if not is_text(url) or not ADDRESS.fullmatch(url):
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
    found: dict[str, Any] = {}
    for name, pattern in (("cite", CITED), ("url", ADDRESS)):
        if is_text(given.get(name)) and pattern.fullmatch(given[name]):
            found[name] = given[name]
    stated = given.get("stated")
    if isinstance(stated, Mapping) and is_number(stated.get("accuracy"), 0, 1):
        found["stated"] = {"accuracy": float(stated["accuracy"])}
        if is_text(stated.get("network")):
            found["stated"]["network"] = stated["network"]
    return found
