"""``ddcodec gallery``: a web page of a folder of files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcodec.runtime.folders import check_folder, whole_folder

from .arguments import folder_option
from .output import message, number
from .progress import Quiet, progress


def gallery(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of .ddset files, in folders too.")
    ],
    out: Annotated[Path, folder_option("Folder to write; new or empty.", "SITE")],
    title: Annotated[
        str, typer.Option(metavar="TEXT", help="Title of the page.")
    ] = "Distilled data sets",
    with_files: Annotated[
        bool, typer.Option("--files", help="Copy the files beside the page and link them.")
    ] = False,
    force: Annotated[
        bool, typer.Option("-f", "--force", help="Replace SITE and all that is in it.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Make a static page of the files in DIR: pictures, bytes, accuracy, and the curve of both.

    SITE/index.html needs no server and fetches nothing from elsewhere.
    """
    check_folder(out, force)

    from ddcodec.share.gallery import find_files, write_gallery

    files = find_files(folder)
    with progress(quiet) as reporter, whole_folder(out, force) as site:
        write_gallery(folder, files, site, title=title, with_files=with_files, reporter=reporter)
    count = "one file" if len(files) == 1 else f"{number(len(files))} files"
    message(f"{out}: {count}, open {out / 'index.html'}")
