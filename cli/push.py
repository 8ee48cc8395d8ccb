"""``ddcodec push``: a file goes to the Hugging Face hub, where others load it by its address."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ddcodec.errors import OutputError, one_line
from ddcodec.runtime.folders import check_folder, whole_folder
from ddcodec.runtime.outputs import output_folder

from .arguments import Cache, File, Prior
from .files import reading
from .output import message, write_line
from .progress import Quiet, progress


def push(
    file: File,
    repo: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="The data set repository on the hub.")
    ],
    create: Annotated[
        bool, typer.Option("--create", help="Make the repository where it is not there.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="A repository that is made is a private one.")
    ] = False,
    dry_run: Annotated[
        Path | None,
        typer.Option(
            parser=output_folder,
            metavar="DIR",
            help="Write what would be sent into this folder; the network is not used.",
        ),
    ] = None,
    prior: Prior = None,
    cache: Cache = None,
    force: Annotated[
        bool, typer.Option("-f", "--force", help="Replace the card and the file that are there.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Send F to the hub with its card, Croissant metadata, a picture and a parquet, in one commit.

    The token is that of the hub's own client: hf auth login, or HF_TOKEN. Prints the line with
    which others load F, pinned by its content digest.
    """
    if dry_run is not None:
        check_folder(dry_run, force)

    from ddcodec.share.page import write_page
    from ddcodec.share.push import check_names, files_of, find_place, push_files
    from ddcodec.share.subject import Subject

    with reading(file) as path, progress(quiet) as reporter:
        check_names(path, repo)

        def write(folder: Path) -> Subject:
            return write_page(
                path,
                folder,
                repo=repo,
                with_file=dry_run is not None,
                prior=prior,
                cache=cache,
                reporter=reporter,
            )

        if dry_run is not None:
            with whole_folder(dry_run, force) as folder:
                subject = write(folder)
            message(f"{dry_run}: what would be sent to {repo}")
        else:
            there = find_place(path, repo, create=create, overwrite=force)
            try:
                with tempfile.TemporaryDirectory(prefix="ddcodec-") as name:
                    subject = write(Path(name))
                    reporter.stage("sending", 0)
                    title = f"{path.name}, {subject.file.bytes:,} bytes"
                    files = {**files_of(Path(name)), path.name: path}
                    commit = push_files(files, there, title, private=private)
            except OSError as problem:  # of the temporary folder
                raise OutputError(f"{repo}: nothing was sent: {one_line(problem)}") from None
            message(f"{repo}: commit {commit}")
    write_line(f"ds = ddcodec.load({json.dumps(subject.address)})")
