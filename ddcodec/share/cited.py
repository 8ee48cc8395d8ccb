"""Where a set was published first: ``ignorable.published`` of a manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..format import Manifest
from ..format.values import is_number, is_text


class Published(NamedTuple):
    """Well-formed statements; None for what is not there or something else.

    They come from whoever wrote the file: show them, open nothing because of them.

    Attributes:
        cite: ``arXiv:ID`` or ``doi:ID``.
        url: where the set was found, http or https.
        accuracy: what its authors state, a share of 1; ``network``: of which network.
    """

    cite: str | None = None
    url: str | None = None
    accuracy: float | None = None
    network: str | None = None

    @property
    def link(self) -> str | None:
        """Where ``cite`` leads."""
        kind, _, name = (self.cite or "").partition(":")
        places = {"arXiv": "https://arxiv.org/abs/", "doi": "https://doi.org/"}
        return places[kind] + name if kind in places else None

    @property
    def arxiv(self) -> str | None:
        """The id on arXiv, or None."""
        found = re.fullmatch(r"arXiv:(\d{4}\.\d{4,5})(v\d+)?", self.cite or "")
        return found[1] if found else None


def published(manifest: Manifest) -> Published:
    """Return what a manifest says of where its set was published."""
    given = manifest.ignorable.get("published")
    if not isinstance(given, Mapping):
        return Published()
    stated = given.get("stated")
    stated = stated if isinstance(stated, Mapping) else {}
    accuracy: Any = stated.get("accuracy")
    network: Any = stated.get("network")
    return Published(
        _matching(r"(?:arXiv|doi):[A-Za-z0-9./()_:;-]+", given.get("cite")),
        _matching(r"https?://[^\s<>\"]+", given.get("url")),
        float(accuracy) if is_number(accuracy, 0, 1) else None,
        network if is_text(network) else None,
    )


def _matching(pattern: str, value: Any) -> str | None:
    return str(value) if is_text(value) and re.fullmatch(pattern, value) else None
