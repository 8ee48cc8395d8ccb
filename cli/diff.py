"""``ddcodec diff``: in what do two files differ?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .arguments import Json
from .files import reading
from .output import printable, write_json, write_line

if TYPE_CHECKING:
    from ddcodec.inspection.compare import Difference

EXIT_DIFFERENT = 7
SHOWN = 60  # characters of a value


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A file; also hf://...")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another file.")],
    as_json: Json = False,
) -> None:
    """Compare manifests and decoded tensors; exit code 7 where they differ.

    How the same values are compressed does not count.
    """
    from ddcodec.format import read
    from ddcodec.inspection.compare import compare_files

    files = []
    for file in (a, b):
        with reading(file) as place:
            files.append(read(place))
    found = compare_files(files[0], files[1])
    if as_json:
        write_json({"same": not found, "differences": [asdict(one) for one in found]})
    else:
        for one in found:
            write_line(describe(one))
    if found:
        raise typer.Exit(EXIT_DIFFERENT)


def describe(one: Difference) -> str:
    """Return a difference in one line."""
    if one.largest is not None:
        return printable(f"{one.where}: {one.b}, by {one.largest:.6g} at most")
    a, b = (
        text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
        for text in map(str, (one.a, one.b))
    )
    return printable(f"{one.where}: {a} | {b}")
