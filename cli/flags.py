"""Flags of the command line from the options of the codecs: each is written once, there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import Field, fields
from typing import Annotated, Any

import typer

from ddcodec.codecs.options import Common, Options, Pair, about, flag_of, type_of
from ddcodec.codecs.registry import CODECS
from ddcodec.errors import UsageError

from .arguments import parse_duration, parse_grid

OWN = {"out": "-o", "codec": "--codec"}  # flags of encode that no Options class has


def kinds() -> Iterator[type[Options]]:
    """Give the options that every encode takes, then those of each codec that encodes."""
    yield Common
    yield from (codec.Options for codec in CODECS.values() if codec.Options is not None)


def parameters(without: Collection[str] = ()) -> list[inspect.Parameter]:
    """Return a parameter of a command for each option of all codecs, None where not given.

    Values are read as text: what they mean is a matter of the codec that is chosen.
    """
    found: dict[str, inspect.Parameter] = {}
    for kind in kinds():
        for each in fields(kind):
            if each.name not in found and each.name not in without:
                found[each.name] = _parameter(kind, each)
    return list(found.values())


def _parameter(kind: type[Options], each: Field[Any]) -> inspect.Parameter:
    names = [name for name in (about(each).short, flag_of(each)) if name]
    what: Any = bool if type_of(kind, each.name)[0] is bool else str
    info = typer.Option(*names, metavar=metavar_of(each), help=about(each).help)
    return inspect.Parameter(
        each.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[what | None, info],
    )


def values(given: Mapping[str, Any], kind: type[Options]) -> dict[str, Any]:
    """Return the options that were given, by name, as values; raises UsageError.

    Those that ``kind`` does not have stay text: whoever takes them refuses them.
    """
    known = {each.name: each for each in fields(kind)}
    return {
        name: _value(kind, known[name], value) if name in known else value
        for name, value in given.items()
        if value is not None
    }


def _value(kind: type[Options], each: Field[Any], value: Any) -> Any:
    wanted = type_of(kind, each.name)[0]
    if wanted is bool:
        return each.default is not True  # the flag is there, so it changes the default
    if about(each).seconds:
        return parse_duration(value)
    if wanted == Pair:
        return parse_grid(value, flag_of(each))
    try:
        return wanted(value)
    except ValueError:
        what = "a whole number" if wanted is int else "a number"
        raise UsageError(f"{flag_of(each)} {value}: not {what}") from None


def metavar_of(each: Field[Any]) -> str | None:
    """Return how the value of an option is written in a help."""
    known = about(each)
    return known.metavar or "|".join(map(str, known.choices)) or None


def help_rows(kind: type[Options], expert: bool) -> list[tuple[str, str]]:
    """Return (flag, help) of the options of ``kind``, the expert ones or the others."""
    rows = []
    for each in fields(kind):
        known = about(each)
        if known.expert != expert:
            continue
        names = ", ".join(name for name in (known.short, flag_of(each)) if name)
        metavar = metavar_of(each)
        usual = known.shown or default_text(each)
        rows.append(
            (f"{names} {metavar}" if metavar else names,
             known.help + (f" [default: {usual}]" if usual else ""))
        )  # fmt: skip
    return rows


def default_text(each: Field[Any]) -> str:
    """Return the default of an option in words; nothing for switches and where there is none."""
    if isinstance(each.default, bool) or each.default in (None, ""):
        return ""
    return f"{each.default:g}" if isinstance(each.default, float) else str(each.default)


def spelled(text: str) -> str:
    """Return a message of the library with the flags of the command line for its arguments."""
    if "`" not in text:
        return text
    known = OWN | {
        each.name: about(each).short or flag_of(each) for kind in kinds() for each in fields(kind)
    }

    def flag(found: re.Match[str]) -> str:
        return known.get(found[1], "--" + found[1].replace("_", "-")) + (" " if found[2] else "")

    return re.sub(r"`([a-z_]+)`(=?)", flag, text)


def with_options(command: Any, without: tuple[str, ...] = ()) -> Any:
    """Return ``command`` with a parameter for each option of the codecs, in place of ``**``."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    more = [p for p in parameters(without) if p.name not in signature.parameters]
    order = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + more
    command.__signature__ = signature.replace(parameters=order)
    command.__annotations__ = {p.name: p.annotation for p in order} | {"return": None}
    return command
