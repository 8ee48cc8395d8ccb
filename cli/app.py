"""The ``ddcodec`` command: its sub-commands, and the one place where errors become exit codes.

Exit codes: 0 ok, 1 internal, 2 usage, 3 invalid file, 4 unsupported or missing extra, 5 input or
output, 7 different, 130 interrupted (143 by SIGTERM). Data goes to stdout, everything else to
stderr.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from ddcodec import __version__
from ddcodec.errors import DDSetError

from . import (
    card,
    compare,
    decode,
    demo,
    diff,
    encode,
    gallery,
    import_,
    info,
    merge,
    observer,
    preview,
    prior,
    push,
    score,
    split,
    sweep,
    train,
    verify,
)
from .flags import spelled
from .help import CodecCommand
from .interruption import EXIT_INTERRUPTED, signals_interrupt
from .output import EXIT_IO, EXIT_OK, drop, error, finish, message, open_streams, write_line

EXIT_INTERNAL = 1
EXIT_USAGE = 2
DEBUG_VARIABLE = "DDCODEC_DEBUG"
SPINS = "3000"  # some microseconds; between parts of one step nobody waits longer

# Plain help: it pipes cleanly and spares a fifth of the start-up time.
app = typer.Typer(
    name="ddcodec",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback(invoke_without_command=True)
def ddcodec(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Distilled image-classification data sets as one small file.

    encode makes a .ddset from real images, train trains fresh networks on it.
    """
    if version:
        write_line(f"ddcodec {__version__}")
        raise typer.Exit(EXIT_OK)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(EXIT_USAGE)


app.command("encode", cls=CodecCommand, short_help="Distil real images into one .ddset file.")(
    encode.encode
)
app.command("info", short_help="Show what is in a file and what it costs.")(info.info)
app.command("verify", short_help="Check files down to the last bit.")(verify.verify)
app.command("train", short_help="Train fresh networks on a file, test on real images.")(train.train)
app.command("score", short_help="Label- and augmentation-robust scores of a file.")(score.score)
app.command("compare", short_help="Measure several files: one table, one picture.")(compare.compare)
app.command("preview", short_help="Draw the picture of a file.")(preview.preview)
app.command("decode", short_help="Write a file's images and soft labels for other tools.")(
    decode.decode
)
app.command(
    "sweep",
    cls=sweep.ListCommand,
    short_help="Draw accuracy against bits per class over a grid of encodes.",
)(sweep.sweep)
app.command("import", short_help="Make one file of what others publish.")(import_.import_set)
app.command("merge", short_help="Join files: more classes, or more images of them.")(merge.merge)
app.command("split", cls=split.ClassesCommand, short_help="Take some classes out of a file.")(
    split.split
)
app.command("card", short_help="Write the page that is published with a file.")(card.card)
app.command("push", short_help="Send a file and its page to the Hugging Face hub.")(push.push)
app.command("gallery", short_help="Make a web page of a folder of files.")(gallery.gallery)
app.command("diff", short_help="Say in what two files differ.")(diff.diff)
app.add_typer(
    observer.app,
    name="observer",
    short_help="Train the network that lic and d3m label images with.",
)
app.add_typer(
    prior.app, name="prior", short_help="Train the diffusion model that d3m makes images with."
)
app.command("demo", short_help="All of it on real handwritten digits.")(demo.demo)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line (``sys.argv`` by default) and return the exit code; never raises."""
    open_streams()
    _let_threads_sleep()
    return finish(_run(arguments))


def _let_threads_sleep() -> None:
    """Threads that wait spin for a moment, then sleep; a variable that is set stays.

    Threads that spin on take several times as long on a busy machine, and threads that sleep at
    once half as long again on an idle one. Both variables are read when torch is loaded, which
    nothing does before; the second one is GNU's alone. The library leaves the choice to its caller.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def _run(arguments: list[str] | None) -> int:
    with signals_interrupt() as interruption:
        try:
            code = app(args=arguments, prog_name="ddcodec", standalone_mode=False)
        except KeyboardInterrupt:
            return interruption.code
        except SystemExit:  # which typer makes of a broken pipe
            return EXIT_IO
        except Exception as problem:
            return _report(problem)
    if code == EXIT_INTERRUPTED:  # which typer makes of any KeyboardInterrupt
        return interruption.code
    return code if isinstance(code, int) else EXIT_OK


def _report(problem: Exception) -> int:
    """Print one line about ``problem`` and return the exit code that belongs to it."""
    if isinstance(problem, BrokenPipeError):
        drop("stdout")  # whoever read the output has seen enough
        return EXIT_IO
    debug = bool(os.environ.get(DEBUG_VARIABLE))
    if debug:
        for line in "".join(traceback.format_exception(problem)).splitlines():
            message(line)
    if isinstance(problem, DDSetError):
        error(spelled(str(problem)))
        return problem.exit_code
    if isinstance(problem, typer.TyperException):
        context = getattr(problem, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context is not None else ""
        error(f"{problem.format_message().replace('Value error, ', '')}{hint}")
        return problem.exit_code
    if isinstance(problem, OSError) and problem.strerror:
        # Whatever has no name is a stream: of files every room says which.
        where = f"{os.fsdecode(problem.filename)}: " if problem.filename else "input or output: "
        error(f"{where}{problem.strerror}")
        return EXIT_IO
    advice = "" if debug else f"; set {DEBUG_VARIABLE}=1 for the traceback"
    said = f": {problem}" if str(problem) else ""
    error(f"{type(problem).__name__}{said}{advice}", kind="internal error")
    return EXIT_INTERNAL


if __name__ == "__main__":
    sys.exit(main())
