"""``ddcodec preview``: the picture of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcodec.errors import UsageError

from .arguments import Cache, Prior, default_output
from .files import check_file, reading, whole_file
from .output import message


def preview(
    file: Annotated[Path, typer.Argument(metavar="F", help="The .ddset file to draw.")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="P.png", help="Picture. [default: F.png here]"),
    ] = None,
    prior: Prior = None,
    cache: Cache = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace P if it exists.")] = False,
) -> None:
    """Draw what a file holds: the poster with its class grid, patches and their labels."""
    target = out if out is not None else default_output(str(file), ".png")
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: the picture is a PNG; give it a name that ends in .png")
    check_file(target, force)
    width, height = draw(file, target, force, prior, cache)
    message(f"{target}: {width} x {height} pixels")


def draw(
    file: Path,
    target: Path,
    overwrite: bool,
    prior: str | None = None,
    cache: Path | None = None,
) -> tuple[int, int]:
    """Write the picture of ``file`` to ``target`` and return its (width, height)."""
    from ddcodec.data.dataset import load
    from ddcodec.inspection.preview import render

    with reading(file):
        picture = render(load(file, prior=prior, cache=cache))
    with whole_file(target, overwrite) as draft:
        picture.save(draft, format="PNG")
    return picture.size
