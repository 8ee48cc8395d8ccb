"""``ddcodec preview``: the picture of a file, or a page to look around in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcodec.errors import UsageError
from ddcodec.runtime.outputs import check_output, output_path

from .arguments import Cache, File, Prior, default_output
from .files import reading
from .output import byte_count, message
from .progress import Quiet, progress


def preview(
    file: File,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            parser=output_path,
            metavar="P",
            help="Picture or page. [default: F.png, or F.html, here]",
        ),
    ] = None,
    page: Annotated[
        bool,
        typer.Option(
            "--html", help="Write a page with the file inside, which opens in any browser."
        ),
    ] = False,
    prior: Prior = None,
    cache: Cache = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace P if it exists.")] = False,
    quiet: Quiet = False,
) -> None:
    """Draw what a file holds: the poster with its class grid, patches and their labels.

    With --html a page shows all patches or images and the manifest, without any other program.
    """
    ending = ".html" if page else ".png"
    target = out if out is not None else default_output(file, ending)
    if target.suffix.lower() != ending:
        other = "" if page else ", or ask for a page with --html"
        what = "page is HTML" if page else "picture is a PNG"
        raise UsageError(f"{target}: the {what}; give it a name that ends in {ending}{other}")
    if page and (prior is not None or cache is not None):
        raise UsageError("--html shows what is in the file; leave out --prior and --cache")
    check_output(target, force)
    if page:
        write_page(file, target, quiet)
    else:
        write_picture(file, target, prior, cache, quiet)


def write_picture(
    file: str, target: Path, prior: str | None, cache: Path | None, quiet: bool
) -> None:
    from ddcodec.data.opening import load
    from ddcodec.inspection.preview import render
    from ddcodec.runtime.atomic import write_atomically

    with reading(file) as place, progress(quiet) as reporter:
        reporter.stage("drawing", 0)
        picture = render(load(place, prior=prior, cache=cache))
    write_atomically(target, lambda whole: picture.save(whole, format="PNG"))
    message(f"{target}: {picture.width} x {picture.height} pixels")


def write_page(file: str, target: Path, quiet: bool) -> None:
    from ddcodec.format import read
    from ddcodec.format.opening import load
    from ddcodec.inspection.page import page_with
    from ddcodec.limits import Limits
    from ddcodec.runtime.atomic import write_atomically

    with reading(file) as place, progress(quiet) as reporter:
        reporter.stage("checking", 0)
        data = load(place, Limits())
        read(data)  # a page of a damaged file would only say so
        parts = list(page_with(data, Path(place).name))
    write_atomically(target, lambda whole: whole.writelines(parts))
    message(f"{target}: {byte_count(sum(map(len, parts)))}, the file inside")
