"""``ddcodec card``: the page that says what a file is, for people and for search engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcodec.hub.address import check_repo
from ddcodec.runtime.folders import check_folder, whole_folder

from .arguments import Cache, File, Prior, ReplaceFolder, default_output, folder_option
from .files import reading
from .output import message, number
from .progress import Quiet, progress


def card(
    file: File,
    out: Annotated[
        Path | None, folder_option("Folder to write; new or empty. [default: F-card here]")
    ] = None,
    repo: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="Where on the hub it will be, for its lines."),
    ] = None,
    prior: Prior = None,
    cache: Cache = None,
    force: ReplaceFolder = False,
    quiet: Quiet = False,
) -> None:
    """Write the card of F: README.md in the hub's form, croissant.json, a picture and a parquet.

    README.md says what is in F, how good it is by which protocol, and what it is not for. The
    parquet has the decoded images and labels, rounded, for viewers.
    """
    target = out if out is not None else default_output(file, "-card")
    if repo is not None:
        check_repo(repo)
    check_folder(target, force)

    from ddcodec.share.page import write_page

    with reading(file) as place, progress(quiet) as reporter, whole_folder(target, force) as folder:
        subject = write_page(place, folder, repo=repo, prior=prior, cache=cache, reporter=reporter)
    samples = f", {number(subject.samples)} samples" if subject.samples else ""
    message(f"{target}: the card of {subject.file.path}{samples}")
