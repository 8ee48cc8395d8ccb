"""``ddcodec encode``: distil real images into one file."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import Annotated, Any

import typer

from ddcodec.codecs.options import Common
from ddcodec.codecs.registry import CODECS, encoder
from ddcodec.runtime.outputs import is_special, output_path

from .arguments import default_output
from .flags import kinds, values, with_options
from .output import byte_count, message, number, seconds
from .progress import Quiet, is_first, resumable


def encode(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A name (digits, cifar10, ...), an .npz file, or a folder: train/CLASS/*, "
            "CLASS/*, parquet or tar shards.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            parser=output_path,
            metavar="F",
            help="File. [default: SOURCE.ddset here]",
        ),
    ] = None,
    codec: Annotated[
        str,
        typer.Option(
            metavar="|".join(name for name, known in CODECS.items() if known.Options),
            help="Method: a poster, posters in stages, squeezed images, prompts for a diffusion "
            "model.",
        ),
    ] = "podd",
    quiet: Quiet = False,
    **options: Any,
) -> None:
    """Distil the training images of SOURCE into one .ddset file."""
    method = encoder(codec)
    assert method.Options is not None
    target = out if out is not None else default_output(source, ".ddset")
    given = values(options, Common, method.Options)

    from ddcodec.encoder import encode as run
    from ddcodec.inspection.info import info

    started = clock.monotonic()
    with resumable(target, "resume" in given, "overwrite" in given, quiet) as reporter:
        run(source, target, codec, reporter=reporter, **given)
    if not is_first():
        return
    if is_special(target):  # what was written there cannot be read again
        message(f"{target}: written, in {seconds(clock.monotonic() - started)}")
        return
    facts = info(target)
    beside = "".join(
        f" (and the model {item['name']} of {byte_count(item['bytes'])})"
        for item in facts["external"]
    )
    message(
        f"{target}: {number(facts['pixels'])} pixels ({facts['ipc']:.4g} IPC), "
        f"{byte_count(facts['bytes']['total'])}{beside}, {facts['bits_per_class']:,.1f} bits per "
        f"class, in {seconds(clock.monotonic() - started)}"
    )


encode = with_options(encode, *kinds())
