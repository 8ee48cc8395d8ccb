"""``ddcodec sweep``: a grid of encodes, and the picture of accuracy against bits per class."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from ddcodec.codecs.options import Common
from ddcodec.codecs.registry import encoder
from ddcodec.errors import UsageError
from ddcodec.runtime.outputs import output_folder

from .flags import kinds, read, values, with_options
from .help import USUAL
from .measuring import network_in_file
from .output import (
    accuracy,
    byte_count,
    message,
    number,
    seconds,
    table,
    write_report,
)
from .progress import Quiet, progress

if TYPE_CHECKING:
    from ddcodec.sweep.record import Entry, SweepRecord

T = TypeVar("T")

OF_ALL_POINTS = ("device", "size", "test_share", "download")

# Options that take several values, and what a value looks like.
LISTS = {
    "--ipc": r"\d*\.?\d+(,\d*\.?\d+)*",
    "--bytes": r"\d+(,\d+)*",
    "--bits": r"\d+(,\d+)*",
    "--seed": r"\d+(,\d+)*",
    "--preprocessing": r"(auto|none|standardise|conv_whiten)(,[a-z_]+)*",
    "--quality": r"(lossless|high|small|bits=\d+)(,(lossless|high|small|bits=\d+))*",
}


class ListCommand(TyperCommand):
    """A command whose list options take several words: ``--ipc 0.4 0.9 --bits 4 8``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read ``--ipc 0.4 0.9`` as ``--ipc 0.4 --ipc 0.9``."""
        words: list[str] = []
        option = None
        for word in args:
            if option and words[-1] != option and re.fullmatch(LISTS[option], word):
                words.append(option)
            elif word in LISTS:
                option = word
            elif not (option and words[-1] == option):
                option = None
            words.append(word)
        return list(super().parse_args(ctx, words))


def sweep(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A name or a path, as for encode.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", parser=output_folder, metavar="DIR", help="Folder for files and results."
        ),
    ],
    ipc: Annotated[
        list[str] | None,
        typer.Option(metavar="X...", help="Budgets in images per class: 0.3 0.6 0.9."),
    ] = None,
    total_bytes: Annotated[
        list[str] | None,
        typer.Option("--bytes", metavar="N...", help="Or in bytes of whole files: 2500 6250."),
    ] = None,
    bits: Annotated[
        list[str] | None,
        typer.Option(metavar="N...", help="Bits of a stored value, 2 to 8: 8 4."),
    ] = None,
    quality: Annotated[
        list[str] | None,
        typer.Option(
            metavar="Q...", help="Or lossless, high, small, bits=N. [default: that of encode]"
        ),
    ] = None,
    preprocessing: Annotated[
        list[str] | None,
        typer.Option(metavar="P...", help="Spaces to distil in: standardise conv_whiten."),
    ] = None,
    seed: Annotated[
        list[str] | None,
        typer.Option(metavar="N...", help="Seeds; each is a file of its own. [default: 0]"),
    ] = None,
    codec: Annotated[
        str,
        typer.Option(
            metavar="podd|ppodd|lic", help="Method: a poster, posters in stages, squeezed images."
        ),
    ] = "podd",
    nets: Annotated[int, typer.Option(metavar="N", help="Networks that learn each file.")] = 8,
    train_steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Their steps. [default: the file's recipe]"),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Test on this. [default: SOURCE's test split]"),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(
            help="Random real images as JPEG, WebP and AVIF, k-means centroids and a quantised "
            "network in the bytes of each file, selected images in its pixels, and all images."
        ),
    ] = True,
    plot: Annotated[bool, typer.Option(help="Draw DIR/sweep.png (extra plot).")] = True,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: all of sweep.json.")] = False,
    **options: Any,
) -> None:
    """Encode SOURCE at every budget, precision and seed, and measure each file.

    Finished points are kept: the same command goes on after an interruption, and more budgets,
    precisions or seeds may be added to DIR. Results: DIR/sweep.json, .csv, .md and .png. Most
    options of encode are taken too, for all points: see ddcodec encode --codec C --help.
    """
    budgets = numbers("--ipc", ipc or [], float)
    sizes = numbers("--bytes", total_bytes or [], int)
    qualities = [f"bits={value}" for value in numbers("--bits", bits or [], int)]
    qualities += words(quality or [])
    seeds = numbers("--seed", seed or ["0"], int)
    method = encoder(codec)
    assert method.Options is not None
    common = read({name: options.pop(name) for name in OF_ALL_POINTS}, Common)
    chosen = values(options, method.Options)

    from ddcodec.runtime.device import keep_large_blocks
    from ddcodec.sweep.grid import Grid, Settings
    from ddcodec.sweep.plot import draw, require_matplotlib
    from ddcodec.sweep.run import sweep as run

    if plot:
        require_matplotlib()  # found before the work, not after a day of it
    grid = Grid(
        tuple(budgets),
        tuple(qualities) or ("auto",),
        tuple(seeds),
        tuple(words(preprocessing or [])) or ("auto",),
        total_bytes=tuple(sizes),
    )
    settings = Settings(
        encode=chosen if codec == USUAL else {"codec": codec, **chosen},
        nets=nets,
        train_steps=train_steps,
        test=test,
        baselines=baselines,
        device=common.device,
        size=common.size,
        test_share=common.test_share,
        download=common.download,
    )
    keep_large_blocks()
    lines = Lines()
    try:
        with progress(quiet, advice="`time`, `nets` and `train_steps` make it shorter") as reporter:
            record = run(source, out, grid, settings, reporter=reporter, watcher=lines)
    except KeyboardInterrupt:
        done = f"after {lines.done} of {lines.of}" if lines.of else "before the first point"
        message(f"interrupted {done}; run the same command to go on")
        raise
    if plot:
        draw(record, out / "sweep.png")
    for note in record.notes:
        message(f"left out: {note}")
    write_report(record.as_json(), lambda _: describe(record), as_json)
    message(f"{out}: sweep.json, sweep.csv, sweep.md{', sweep.png' if plot else ''}")


sweep = with_options(sweep, Common, without=("resume", "overwrite"))
sweep = with_options(sweep, *kinds(), without=("resume", "overwrite", "total_bytes"), hidden=True)


class Lines:
    """Says on stderr what begins and what was found, with the commands that find it again."""

    def __init__(self) -> None:
        self.done = self.of = 0

    def begins(self, what: str, number: int, of: int) -> None:
        self.of = of
        message(f"[{number}/{of}] {what} ...")

    def ends(self, what: str, number: int, of: int, entry: Entry, new: bool) -> None:
        self.done, self.of = number, of
        message(f"[{number}/{of}] {what}: {found(entry)}{'' if new else ' (was there)'}")
        for command in entry.get("commands", []):
            message(f"  {command}")


def found(entry: Entry) -> str:
    """Return accuracy, size and effort of one entry in a line."""
    if entry["accuracy_mean"] is None:
        return f"does not fit into {byte_count(entry['bytes'])}"
    std = None if len(entry["per_net"]) == 1 else entry["accuracy_std"]
    parts = [
        accuracy(entry["accuracy_mean"], std),
        byte_count(entry["bytes"]),
        f"{entry['bits_per_class']:,.1f} bits per class",
    ]
    if entry.get("encode_seconds"):
        parts.append(f"encoded in {seconds(entry['encode_seconds'])}")
    if entry.get("network_in_file") is not None:
        parts.append(network_in_file(entry))
    return ", ".join(parts)


def describe(record: SweepRecord) -> str:
    """Return all curves as one table: the files, the baselines, all data."""
    from ddcodec.sweep.curves import curves

    found = [
        (curve.name, spot.bits_per_class, spot.mean, spot.std)
        for curve in curves(record)
        for spot in curve.spots
    ]
    if full := record.full_data:
        measured = (full[name] for name in ("bits_per_class", "accuracy_mean", "accuracy_std"))
        found.append(("all training images", *measured))
    rows = [[name, f"{bits:,.0f}", accuracy(mean, std)] for name, bits, mean, std in found]
    what = record.identity
    head = (
        f"{what['source']}: accuracy on {number(what['test_images'])} test images of "
        f"{what['test']}, mean ± std of {what['nets']} networks a file"
    )
    own = "\n".join(
        f"{point['file']}, no training: {network_in_file(point)}"
        for point in record.points_with_network()
    )
    drawn = table(rows, ["trained on", "bits per class", "accuracy"])
    parts = [head, drawn, own, record.verdict()]
    return "\n\n".join(part for part in parts if part)


def words(given: list[str]) -> list[str]:
    """Return the values of a list option, each given alone or joined by commas."""
    return [word for text in given for word in text.split(",")]


def numbers(option: str, given: list[str], kind: Callable[[str], T]) -> list[T]:
    """Return the values of a list option as numbers; raises UsageError for any other word."""
    out = []
    for word in words(given):
        try:
            out.append(kind(word))
        except ValueError:
            raise UsageError(
                f"{option} {word!r} is not a number; give several as in {option} 1 2 or 1,2"
            ) from None
    return out
