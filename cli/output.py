"""What is printed and where: data on stdout, messages on stderr, numbers in one notation.

Text from a file may come from a stranger, so everything that reaches a terminal is made printable.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO, TypeVar

import typer

EXIT_OK = 0
EXIT_IO = 5
T = TypeVar("T")
WIDE = 10_000  # columns; no table is cut to fit


def printable(text: str) -> str:
    """Return ``text`` with control characters and the like written as escapes, on one line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def write_line(text: str = "") -> None:
    """Write a line (or several) of data to stdout, at once: messages may come in between.

    Where that is impossible the command ends with 5; a reader who has seen enough gets no message.
    """
    try:
        put(sys.stdout, text)
    except OSError as problem:
        drop("stdout")
        if not isinstance(problem, BrokenPipeError):
            error(f"stdout: cannot be written: {problem.strerror}")
        raise typer.Exit(EXIT_IO) from None


def put(stream: TextIO, text: str) -> None:
    """Write a line to a stream, in plain letters where it has no others; raises OSError."""
    try:
        "─±".encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        text = text.replace("─", "-").replace("±", "+-")
    stream.write(text + "\n")
    stream.flush()


def write_json(value: Any) -> None:
    """Write ``value`` to stdout as indented ASCII JSON; NaN and infinities are an error."""
    write_line(json.dumps(value, indent=2, allow_nan=False))


def write_report(report: T, describe: Callable[[T], str], as_json: bool) -> None:
    """Write what a command found: as JSON, or as ``describe`` says it to people."""
    if as_json:
        write_json(report)
    else:
        write_line(describe(report))


def open_streams() -> None:
    """Give the process the standard streams that it lacks: what goes there is wanted by nobody.

    Else the next file that is opened would take the number of a closed one, and what a library
    prints would go into it. Class names that a stream's encoding lacks are written as escapes.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(null)
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def drop(name: str) -> None:
    """Point stdout or stderr at nothing, so that the interpreter's last flush stays quiet."""
    try:
        number = getattr(sys, name).fileno()
    except (OSError, ValueError):  # no file of the system
        setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)


def finish(code: int) -> int:
    """Return the exit code once all of stdout is written: 5 for 0 where it cannot be."""
    try:
        sys.stdout.flush()
    except OSError:
        drop("stdout")
        return code or EXIT_IO
    return code


def message(text: str) -> None:
    """Write one line for people to stderr; where that is impossible they do without."""
    try:
        put(sys.stderr, printable(text))
    except OSError:
        drop("stderr")


def error(text: str, kind: str = "error") -> None:
    """Write ``error: ...`` to stderr, on one line whatever ``text`` holds."""
    message(f"{kind}: {' '.join(text.split())}")


def number(value: int) -> str:
    """Return an exact count with thousands separators: ``40,804``."""
    return f"{value:,}"


def byte_count(value: int) -> str:
    """Return an exact number of bytes: ``1,234 bytes``."""
    return "1 byte" if value == 1 else f"{value:,} bytes"


def percent(share: float) -> str:
    """Return a share of 1 in percent with one decimal: ``92.1 %``."""
    return f"{100 * share:.1f} %"


def accuracy(mean: float, std: float | None) -> str:
    """Return a mean and its standard deviation in percent: ``92.1 ± 0.4 %``."""
    return percent(mean) if std is None else f"{100 * mean:.1f} ± {100 * std:.1f} %"


def seconds(value: float) -> str:
    """Return a length of time as people write it: ``8.4 s``, ``2 min 05 s``, ``3 h 20 min``."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def table(rows: Sequence[Sequence[str]], header: Sequence[str] | None = None, left: int = 1) -> str:
    """Return aligned text: the first ``left`` columns to the left, the others to the right.

    Args:
        rows: cells as text, all rows of one length.
        header: column titles; a line is drawn under them.
        left: number of columns aligned to the left.
    """
    import rich.box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(
        box=rich.box.SIMPLE_HEAD if header else None,
        show_header=header is not None,
        show_edge=False,
        pad_edge=False,
        padding=(0, 2 if header is None else 1, 0, 0),
    )
    for column in range(len(header or rows[0])):
        title = Text(header[column]) if header else ""
        grid.add_column(title, justify="left" if column < left else "right", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    # A comparison keeps its lines whole, numbers above all; a description folds on a terminal.
    width = None if header is None and sys.stdout.isatty() else WIDE
    text = io.StringIO()
    Console(width=width, highlight=False, file=text).print(grid)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())
