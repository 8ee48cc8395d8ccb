"""``train --record``: what was measured, in the file itself, for others to see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .files import reading
from .measuring import Report
from .output import message

TESTED = ("test", "test_count")


def write_down(file: Path, report: Report) -> None:
    """Put the result of ``train`` into the file's manifest; its content digest changes with it.

    A table of networks replaces the one that is there. Without one the old stays, as long as its
    networks were tested on the same images.
    """
    from ddcodec.format import read_manifest, restate

    measured = {name: report[name] for name in ("nets", "steps", "test")} | rounded(report)
    measured["test_count"] = report["test_images"]
    with reading(str(file)):
        if "networks" in report:
            measured["tool"] = tool()
            networks = tuple(entry(row) | {"tool": measured["tool"]} for row in report["networks"])
        else:
            old = read_manifest(file)[0]
            networks = old.measured_networks
            if any((old.measured or measured)[name] != measured[name] for name in TESTED):
                if networks:
                    message(f"{file}: its table of networks, tested on other images, is left out")
                networks = ()
        restate(file, measured=measured, measured_networks=networks)


def rounded(row: dict[str, Any]) -> dict[str, float]:
    """Return an accuracy and its deviation with as many digits as mean something."""
    return {name: round(row[name], 4) for name in ("accuracy_mean", "accuracy_std")}


def entry(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a file keeps of a row of the table."""
    kept = {name: row[name] for name in ("network", "norm", "nets", "steps", "optimizer", "lr")}
    return kept | rounded(row) | ({"own": True} if row["own"] else {})


def tool() -> str:
    """Return what measures here: other versions may give other figures."""
    import torch

    from ddcodec.version import __version__

    return f"ddcodec {__version__}, torch {torch.__version__}"
