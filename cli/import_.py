"""``ddcodec import``: what someone published becomes one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddcodec.codecs.options import Common
from ddcodec.share.options import Import

from .arguments import Json
from .flags import read, read_common, with_options
from .merge import Out
from .output import accuracy, number, percent, write_report
from .progress import Quiet, progress

if TYPE_CHECKING:
    from ddcodec.share.importing import Imported

Report = dict[str, Any]


def import_set(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="File or folder as published.")],
    out: Out,
    quiet: Quiet = False,
    as_json: Json = False,
    **options: Any,
) -> None:
    """Write the distilled set at PATH as one .ddset file.

    Its kind is found by its content: DC, DSA, DM, MTT, TESLA, FTD, DATM, IDC, LIC, KIP, FRePo,
    RaT-BPTT, PoDD, folders of RDED, SRe2L, CDA, parquet, npz. Nothing of it is executed.
    """
    common = read_common(options)

    from ddcodec.runtime.device import keep_large_blocks
    from ddcodec.share.importing import import_set as run

    chosen = read(options, Import)
    keep_large_blocks()
    with progress(quiet) as reporter:
        result = run(path, out, chosen, common, reporter)
    write_report(report_of(out, result), describe, as_json)


import_set = with_options(import_set, Import, Common, without=("resume",))


def report_of(out: Path, result: Imported) -> Report:
    """Return what ``--json`` prints; accuracies are shares of 1."""
    from ddcodec.inspection.published import published

    manifest, measured = result.manifest, result.measured
    return {
        "file": str(out),
        "kind": result.kind,
        "codec": manifest.codec["name"],
        "images": next(iter(manifest.tensors.values())).shape[0],
        "classes": len(manifest.classes),
        "space": result.space,
        "fits": {fit.name: fit.accuracy for fit in result.fits} or None,
        "change": None if result.change is None else list(result.change),
        "bytes": out.stat().st_size,
        "accuracy_mean": None if measured is None else measured.mean,
        "accuracy_std": None if measured is None else measured.std,
        "nets": None if measured is None else measured.nets,
        "stated": published(manifest).get("stated"),
        "content_digest": manifest.content_digest,
    }


def describe(report: Report) -> str:
    """Return the result in one line."""
    line = (
        f"{report['file']}: {report['kind']}, as {report['codec']}, {number(report['classes'])} "
        f"classes, {report['space']}, {number(report['bytes'])} bytes"
    )
    if report["accuracy_mean"] is not None:
        reached = accuracy(report["accuracy_mean"], report["accuracy_std"])
        line += f"; {reached} ({report['nets']} networks)"
    if report["stated"]:
        network = report["stated"].get("network")
        line += f"; authors state {percent(report['stated']['accuracy'])}"
        line += f" ({network})" if network else ""
    return line
