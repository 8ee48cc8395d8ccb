"""What was measured on a file: the accuracy of its own network, and of others where recorded.

In a manifest ``measured`` is an object, or a list whose first entry is that object and whose others
are networks of a table. Here the two are kept apart, so that who asks for the accuracy of a file
need not know of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .values import need

Entry = dict[str, Any]

MOST = 100  # entries of a list
# What an entry of a list leaves out is as in the entry before it.
INHERITED = ("lr", "norm", "nets", "optimizer", "steps", "tool")


def parted(value: Any) -> tuple[Entry | None, tuple[Entry, ...]]:
    """Return the own network's entry and those of others; raises InvalidFile for no list of both.

    A list of one would be a second spelling of an object.
    """
    if not isinstance(value, list):
        return value, ()
    good = 2 <= len(value) <= MOST and all(isinstance(entry, dict) for entry in value)
    need(good, f"manifest: a list in 'measured' holds 2 to {MOST} objects")
    return value[0], tuple(value[1:])


def joined(own: Entry | None, others: Iterable[Entry]) -> Any:
    """Return the value of ``measured`` in a manifest."""
    rest = list(others)
    return [own, *rest] if rest else own


def transfer(entries: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the mean accuracy of networks other than the file's own, a share of 1.

    ``entries`` are those of a table; ``own`` is true for the file's own network by other recipes.
    None where there is no other network.
    """
    others = others_of(entries)
    return sum(entry["accuracy_mean"] for entry in others) / len(others) if others else None


def others_of(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries of networks other than the file's own."""
    return [entry for entry in entries if not entry.get("own")]
