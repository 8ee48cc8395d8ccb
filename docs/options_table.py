"""A MkDocs hook: the tables of options, from the options themselves."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

from ddcodec.codecs.options import Common, Options, about, flag_of
from ddcodec.codecs.registry import CODECS

MARK = "<!-- options -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page with the tables in place of the mark."""
    return markdown.replace(MARK, tables()) if MARK in markdown else markdown


def tables() -> str:
    """Return a table for what all codecs take, and one for each codec that encodes."""
    parts = [table("Every method", Common)]
    for codec in CODECS.values():
        if codec.Options is not None:
            parts.append(table(f"{codec.name}: {codec.title}", codec.Options))
    return "\n\n".join(parts)


def table(title: str, kind: type[Options]) -> str:
    """Return the options of a codec, those for experts last."""
    rows = [f"## {title}", "", "| Python | flag | value | default | |", "|---|---|---|---|---|"]
    for each in sorted(fields(kind), key=lambda each: about(each).expert):
        known = about(each)
        default = known.shown or ("" if each.default is None else f"`{each.default}`")
        help = known.help + (" *(expert)*" if known.expert else "")
        flags = " ".join(f"`{flag}`" for flag in (flag_of(each), known.short) if flag)
        cells = [f"`{each.name}`", flags, value(each), default, help]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def value(each: Field[Any]) -> str:
    """Return what an option may be: its words, or its range."""
    known = about(each)
    words = known.metavar or "|".join(map(str, known.choices))
    low, high = known.least, known.most
    if known.seconds:
        return "seconds; 90s, 9m, 1.5h on the command line"
    bounds = ""
    if low is not None and not known.choices:
        bounds = f", {low:g} to {high:g}" if high is not None else f", at least {low:g}"
    return f"`{words}`{bounds}" if words else ""
