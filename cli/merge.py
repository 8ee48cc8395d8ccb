"""``ddcodec merge``: the samples of several files in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddcodec.runtime.outputs import output_path

from .arguments import Json
from .files import reading_all
from .output import number, write_report

if TYPE_CHECKING:
    from ddcodec.format import Manifest

Report = dict[str, Any]
Out = Annotated[
    Path, typer.Option("-o", "--out", parser=output_path, metavar="F", help="The file to write.")
]
Force = Annotated[bool, typer.Option("-f", "--force", help="Replace F if it exists.")]


def merge(
    files: Annotated[
        list[str], typer.Argument(metavar="A B ...", help="Files of one kind, or their addresses.")
    ],
    out: Out,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write one file with all samples of A, B and so on: more classes, or more images of them.

    For files of the codecs images and lic, exact. Size, preprocessing and values must agree.
    """
    from ddcodec.share.merging import merge as run

    with reading_all(files) as places:
        manifest = run(places, out, overwrite=force)
    write_report(report_of(out, manifest), describe, as_json)


def report_of(out: Path, manifest: Manifest) -> Report:
    """Return what ``--json`` prints of a file that was written."""
    return {
        "file": str(out),
        "codec": manifest.codec["name"],
        "classes": list(manifest.classes),
        "images": manifest.tensors["images"].shape[0],
        "bytes": out.stat().st_size,
        "steps": manifest.recipe["steps"],
        "content_digest": manifest.content_digest,
    }


def describe(report: Report) -> str:
    """Return the result in one line."""
    return (
        f"{report['file']}: {number(report['images'])} images of "
        f"{number(len(report['classes']))} classes, {number(report['bytes'])} bytes; the recipe "
        f"takes {number(report['steps'])} steps"
    )
