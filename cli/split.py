"""``ddcodec split``: some classes of a file in another, so that the rest can be dropped."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from .arguments import File, Json
from .files import reading
from .merge import Force, Out, describe, report_of
from .output import write_report


class ClassesCommand(TyperCommand):
    """A command of which ``--classes`` takes all words up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read ``--classes a b`` as ``--classes a --classes b``."""
        words: list[str] = []
        inside = False
        for word in args:
            if inside and not word.startswith("-"):
                words += ["--classes", word]
                continue
            inside = word == "--classes"
            words += [] if inside else [word]
        return list(super().parse_args(ctx, words))


def split(
    file: File,
    out: Out,
    classes: Annotated[
        list[str],
        typer.Option("--classes", metavar="A B ...", help="Names of the classes to keep."),
    ],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the samples of some classes of F, exactly as they are.

    For files of the codecs images and lic.
    """
    from ddcodec.share.merging import split as run

    with reading(file) as place:
        manifest = run(place, out, classes, overwrite=force)
    write_report(report_of(out, manifest), describe, as_json)
