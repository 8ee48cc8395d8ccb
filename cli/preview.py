"""``ddcodec preview``: the picture of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcodec.errors import UsageError
from ddcodec.runtime.outputs import check_output, output_path

from .arguments import Cache, File, Prior, default_output
from .files import reading
from .output import message
from .progress import Quiet, progress


def preview(
    file: File,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            parser=output_path,
            metavar="P.png",
            help="Picture. [default: F.png here]",
        ),
    ] = None,
    prior: Prior = None,
    cache: Cache = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace P if it exists.")] = False,
    quiet: Quiet = False,
) -> None:
    """Draw what a file holds: the poster with its class grid, patches and their labels."""
    target = out if out is not None else default_output(file, ".png")
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: the picture is a PNG; give it a name that ends in .png")
    check_output(target, force)

    from ddcodec.data.dataset import load
    from ddcodec.inspection.preview import render
    from ddcodec.runtime.atomic import write_atomically

    with reading(file) as place, progress(quiet) as reporter:
        reporter.stage("drawing", 0)
        picture = render(load(place, prior=prior, cache=cache))
    write_atomically(target, lambda whole: picture.save(whole, format="PNG"))
    message(f"{target}: {picture.width} x {picture.height} pixels")
