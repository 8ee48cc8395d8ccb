"""Options, each written once: its name, type, default, range and help.

An encoder's options are a frozen dataclass of fields made by ``option``. From it come the keyword
arguments of ``ddcodec.encode``, the flags of the command line, their help, the checks, the command
that a file records, and the table in the documentation.

Messages name an option in backticks, as Python does; the command line puts its flag there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from inspect import cleandoc
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import UsageError
from ..limits import TEST_SHARES
from ..runtime.arguments import Pair as Pair
from ..runtime.arguments import argument, settle
from ..runtime.names import utf8

AnyPath = str | os.PathLike[str]
T = TypeVar("T", bound="Options")


@dataclass(frozen=True)
class About:
    """What is known of an option beside its name, type and default.

    Attributes:
        help: one or two sentences for whoever chooses a value.
        metavar: how a value is written, as in ``X``; for choices it follows from them.
        choices: the values that a word or number may have; none where any may be.
        least, most: the range of a number, both included.
        flag: on the command line; by default ``--`` and the name. short: a second one, of a letter.
        expert: shown only where the options of one codec are asked for.
        shown: the default in words, where the value itself says little.
        seconds: whether the command line reads a length of time, as in 90s or 9m.
    """

    help: str
    metavar: str = ""
    choices: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None
    flag: str = ""
    short: str = ""
    expert: bool = False
    shown: str = ""
    seconds: bool = False


def option(default: Any, help: str, **about: Any) -> Any:
    """Return the field of an option; ``about`` are the other attributes of ``About``."""
    return field(default=default, metadata={"about": About(help, **about)})


@dataclass(frozen=True)
class Options:
    """Base of the options of a codec; checks every value by what its field says.

    Numbers of numpy and one-element tensors are taken for what they are. Raises UsageError for a
    value of another type, out of range or not finite.
    """

    title: ClassVar[str] = "Options"  # heading of the help

    def __init_subclass__(cls) -> None:
        """Let ``help`` of the class say what each option is for."""
        fields_of = [getattr(base, "__dataclass_fields__", {}) for base in cls.__mro__[:0:-1]]
        known = {name: each for found in (*fields_of, vars(cls)) for name, each in found.items()}
        rows = [
            f"    {name}: {each.metadata['about'].help}"
            for name, each in known.items()
            if isinstance(each, Field) and "about" in each.metadata
        ]
        cls.__doc__ = "\n".join([cleandoc(cls.__doc__ or cls.title), "", "Args:", *rows])

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """Refuse unknown names as ``chosen`` does, with the nearest right one."""
        refuse_unknown(cls, named, cls.__name__, {})
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = checked(each.name, getattr(self, each.name), type_of(type(self), each.name),
                            about(each))  # fmt: skip
            settle(self, **{each.name: value})
        self.check()

    def check(self) -> None:
        """Check what holds between options; raises UsageError."""

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all options, in the order in which they are shown."""
        return [each.name for each in fields(cls)]


def about(each: Field[Any]) -> About:
    """Return what is known of an option from its field."""
    found: About = each.metadata["about"]
    return found


def flag_of(each: Field[Any]) -> str:
    """Return the flag of an option on the command line; that of a truth is what changes it."""
    no = "no-" if each.default is True else ""
    return about(each).flag or "--" + no + each.name.replace("_", "-")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def type_of(kind: type[Options], name: str) -> tuple[Any, bool]:
    """Return the type of an option, without None, and whether it may be None."""
    whole: Any = kind  # a class can be hashed, whatever mypy thinks of its instances
    hint = _hints(whole)[name]
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    wanted = Path if os.PathLike[str] in kinds else kinds[0]
    return wanted, NoneType in kinds


def checked(name: str, value: Any, kind: tuple[Any, bool], known: About) -> Any:
    """Return a value as the type of its option; raises UsageError where it cannot be."""
    wanted, optional = kind
    if value is None:
        if not optional:
            raise UsageError(f"`{name}` must be given")
        return None
    return argument(name, value, wanted, choices=known.choices, least=known.least, most=known.most)


def spelled(values: Mapping[str, Any], *kinds: type[Options]) -> list[str]:
    """Return the words of a command line for ``values`` that are not the defaults of ``kinds``.

    They stand in the order of ``values``; None is left out.
    """
    known = {each.name: each for kind in kinds for each in fields(kind)}
    words: list[str] = []
    for name, value in values.items():
        if value is None or value == known[name].default:
            continue
        words.append(flag_of(known[name]))
        if not isinstance(value, bool):
            words.append(word(value))
    return words


def word(value: Any) -> str:
    """Return a value as it is written on a command line."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, float):
        return f"{value:.12g}"
    # A path says where a file lay on one machine; its name is enough to recognise it.
    return utf8(value.name) if isinstance(value, Path) else str(value)


def chosen(kind: type[T], given: Mapping[str, Any], codec: str, others: Mapping[str, str]) -> T:
    """Return the options of a codec from keyword arguments.

    Args:
        kind: the options' class.
        given: values by name.
        codec: its name, for messages.
        others: the names of all other codecs' options, each with words for whose it is.

    Raises UsageError for an option of another codec, or of none, with the nearest right name.
    """
    refuse_unknown(kind, given, codec, others)
    return kind(**given)


def refuse_unknown(
    kind: type[Options], given: Iterable[str], codec: str, others: Mapping[str, str]
) -> None:
    """Raise UsageError for a name in ``given`` that is no option (see ``chosen``)."""
    names = kind.names()
    for name in given:
        if name in names:
            continue
        if name in others:
            raise UsageError(f"`{name}` belongs to {others[name]}; {codec} has none")
        near = get_close_matches(name, [*names, *others], 1)
        advice = f"; did you mean `{near[0]}`?" if near else f"; {codec} has: {', '.join(names)}"
        raise UsageError(f"unknown option `{name}`{advice}")


@dataclass(frozen=True)
class Common(Options):
    """What every encode takes, whatever the codec."""

    title: ClassVar[str] = "Options"

    seed: int = option(0, "Equal seeds give equal results.", metavar="N", least=0)
    device: str = option("auto", "auto, cpu, cuda or cuda:N.", metavar="D")
    resume: bool = option(False, "Go on from the checkpoint F.checkpoint.")
    overwrite: bool = option(False, "Replace F if it exists.", flag="--force", short="-f")
    size: int | None = option(
        None, "Scale each image's central square to N x N.", metavar="N", least=1
    )
    test_share: float | None = option(
        None, "Hold out this share of the images as a test.",
        metavar="X", least=TEST_SHARES[0], most=TEST_SHARES[1],
    )  # fmt: skip
    download: bool = option(False, "Fetch a known data set or model not here yet.")

    @property
    def of_source(self) -> dict[str, Any]:
        """How images are read, as arguments of ``sources.load``."""
        return {name: getattr(self, name) for name in ("size", "test_share", "download")}
