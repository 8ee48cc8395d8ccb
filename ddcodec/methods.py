"""Which methods a file may name: the format asks here, the registry of codecs has answered.

The format knows no method and the codecs stand above it, so ``ddcodec`` itself brings the two
together when it is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Method(Protocol):
    """What the format asks of a method; see ``codecs.base.Codec``."""

    def check(self, manifest: Any, limits: Any) -> None:
        """Check all that needs no tensor data; raises InvalidFile or LimitExceeded."""

    def check_values(self, manifest: Any, arrays: Any) -> None:
        """Check what depends on the values of decoded tensors or chunks; raises InvalidFile."""


_known: Mapping[str, Method] = {}


def install(methods: Mapping[str, Method]) -> None:
    """Make ``methods``, by the names that files use, those that the format knows."""
    global _known
    _known = methods


def known() -> Mapping[str, Method]:
    return _known
