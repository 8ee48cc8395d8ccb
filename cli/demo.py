"""``ddcodec demo``: the whole story on real handwritten digits, in a minute or two."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from ddcodec.runtime.outputs import output_path

from . import encode, info, preview, train
from .output import write_line
from .progress import Quiet


def demo(
    time: Annotated[
        str, typer.Option(metavar="T", help="How long to distil, as in 60s or 5m.")
    ] = "60s",
    ipc: Annotated[float, typer.Option(metavar="X", help="Budget in images per class.")] = 0.9,
    nets: Annotated[int, typer.Option(metavar="N", help="Networks to train.")] = 8,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of everything.")] = 0,
    device: Annotated[str, typer.Option(metavar="D", help="auto, cpu, cuda or cuda:N.")] = "auto",
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", parser=output_path, metavar="F", help="File to write, replaced if there."
        ),
    ] = Path("demo.ddset"),
    quiet: Quiet = False,
) -> None:
    """Distil handwritten digits into one file, look at it, draw it and train on it."""
    picture = out.with_suffix(".png")
    shared = ["--seed", str(seed), "--device", device] if seed or device != "auto" else []

    budget = ["--ipc", f"{ipc:g}", "--profile", "quick", "--time", time]
    step(["encode", "digits", *budget, *shared, "-o", str(out), "-f"])
    chosen: dict[str, Any] = {"ipc": f"{ipc:g}", "profile": "quick", "time": time}
    encode.encode(
        "digits", out, quiet=quiet, seed=str(seed), device=device, overwrite=True, **chosen
    )

    step(["info", str(out)])
    info.info([str(out)])

    step(["preview", str(out), "-o", str(picture), "-f"])
    preview.preview(str(out), out=picture, force=True)

    step(["train", str(out), "--nets", str(nets), "--baselines", *shared])
    train.train(str(out), nets=nets, baselines=True, quiet=quiet, seed=seed, device=device)


def step(words: list[str]) -> None:
    """Print the command that does the same as what follows."""
    write_line(f"\n$ {shlex.join(['ddcodec', *words])}")
