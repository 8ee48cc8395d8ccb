"""Flags of the command line from the options of the codecs: each is written once, there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import Field, fields
from typing import Annotated, Any, TypeVar

import typer

from ddcodec.codecs.options import Common, Options, Pair, about, flag_of, type_of
from ddcodec.codecs.registry import CODECS
from ddcodec.errors import UsageError

from .arguments import parse_duration, parse_grid

T = TypeVar("T", bound=Options)

# Arguments of the library whose flags are not in the options of a codec.
OWN = {"out": "-o", "codec": "--codec", "architecture": "--arch", "seconds": "--time"}


def kinds() -> Iterator[type[Options]]:
    """Give the options that every encode takes, then those of each codec that encodes."""
    yield Common
    yield from (codec.Options for codec in CODECS.values() if codec.Options is not None)


def with_options(
    command: Any, *kinds: type[Options], without: Collection[str] = (), hidden: bool = False
) -> Any:
    """Return ``command`` with a parameter for each option of ``kinds``, in place of ``**``.

    A parameter is None where its flag is not given, else text (True for a switch): what it means
    is a matter of the options that are chosen. ``without`` names options that are left out;
    ``hidden`` keeps them out of the help.
    """
    signature = inspect.signature(command, eval_str=True)
    found = {
        name: each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, each in signature.parameters.items()
        if each.kind is not inspect.Parameter.VAR_KEYWORD
    }
    for kind in kinds:
        for each in fields(kind):
            if each.name not in found and each.name not in without:
                what: Any = bool if type_of(kind, each.name)[0] is bool else str
                info = typer.Option(
                    *_names(each), metavar=metavar_of(each), help=_help(each), hidden=hidden
                )
                found[each.name] = inspect.Parameter(
                    each.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=None,
                    annotation=Annotated[what | None, info],
                )
    command.__signature__ = signature.replace(parameters=list(found.values()))
    command.__annotations__ = {p.name: p.annotation for p in found.values()} | {"return": None}
    return command


def read(given: Mapping[str, Any], kind: type[T]) -> T:
    """Return what a command was given as its options; raises UsageError."""
    return kind(**values(given, kind))


def read_common(given: dict[str, Any]) -> Common:
    """Take the options that every encode takes out of ``given``; raises UsageError."""
    return read({name: given.pop(name, None) for name in Common.names()}, Common)


def values(given: Mapping[str, Any], *kinds: type[Options]) -> dict[str, Any]:
    """Return the options that were given, by name, as values; raises UsageError.

    Those that ``kinds`` do not have stay text: whoever takes them refuses them.
    """
    known = {each.name: (kind, each) for kind in kinds for each in fields(kind)}
    return {
        name: _value(*known[name], value) if name in known else value
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
    return [
        (" ".join(filter(None, (", ".join(_names(each)), metavar_of(each)))), _help(each))
        for each in fields(kind)
        if about(each).expert == expert
    ]


def _names(each: Field[Any]) -> list[str]:
    return [name for name in (about(each).short, flag_of(each)) if name]


def _help(each: Field[Any]) -> str:
    usual = about(each).shown or default_text(each)
    return spelled(about(each).help) + (f" [default: {usual}]" if usual else "")


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
