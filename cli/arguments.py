"""Values that the command line spells its own way: lengths of time, patch grids, output names."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ddcodec.errors import UsageError
from ddcodec.hub.address import is_address, parse
from ddcodec.runtime.outputs import output_folder

# Of a command that reads one file: a path or an address, which no pathlib.Path would keep.
File = Annotated[
    str, typer.Argument(metavar="F", help="The .ddset file, or its address on the hub: hf://...")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
# Of every command that needs the images of a file.
Prior = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="d3m: the diffusion model, a folder or an id of the hub that is here."
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="d3m: keep generated images in this folder, up to 8 GiB."),
]
# Of a command that writes a folder, whole or not at all.
ReplaceFolder = Annotated[
    bool, typer.Option("-f", "--force", help="Replace DIR and all that is in it.")
]

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def folder_option(text: str, metavar: str = "DIR") -> Any:
    """Return ``-o``, the folder that a command writes, with its help."""
    return typer.Option("-o", "--out", parser=output_folder, metavar=metavar, help=text)


def parse_duration(text: str) -> float:
    """Return seconds from ``90s``, ``9m``, ``1.5h`` or ``2d``; raises UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)([smhd])", text.strip())
    value = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if not 0 < value < math.inf:
        raise UsageError(f"--time {text}: not a length of time; write 90s, 9m, 1.5h or 2d")
    return value


def parse_grid(text: str, option: str) -> tuple[int, int]:
    """Return (x, y) from ``16x6``, both at least 1; raises UsageError that names the option."""
    match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text.strip())
    grid = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(grid) < 1:
        raise UsageError(f"{option} {text}: not a grid; write columns x rows, as in 16x6")
    return grid


def default_output(source: str, suffix: str) -> Path:
    """Return a file in the current folder named after ``source``, a name, path or address."""
    path = Path(parse(source).file if is_address(source) else source)
    name = Path(os.path.abspath(path)).name  # noqa: PTH100 - "." and ".." have names too
    if path.suffix.lower() in (".npz", ".ddset", ".tar", ".gz", ".zip") and not path.is_dir():
        name = path.stem
    if not name:
        raise UsageError(f"'{source}' gives no name for the output; choose one with -o")
    return Path(name + suffix)
