"""``ddcodec verify``: is this file what it says, down to the last bit?"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ddcodec.errors import InvalidFile, SourceError, Unsupported

from .arguments import Json
from .output import EXIT_IO, EXIT_OK, error, number, printable, write_json, write_line
from .progress import Quiet, progress

EXIT_INVALID = InvalidFile.exit_code
EXIT_UNSUPPORTED = Unsupported.exit_code


def verify(
    files: Annotated[
        list[str], typer.Argument(metavar="F...", help="Files to check; also hf://...; - is stdin.")
    ],
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Check files strictly, every digest included, and number what is wrong.

    Exit code 3 where a file is invalid, 4 where it needs a newer version.
    """
    reports, codes = [], set()
    for file in files:
        with progress(quiet) as reporter:
            reporter.stage(f"checking {file}", 0)
            report, code = check(file)
        codes.add(code)
        if report is not None:
            reports.append(report)
            if not as_json:
                write_line(describe(report))
    if as_json:
        write_json(reports[0] if len(files) == 1 and reports else reports)
    for code in (EXIT_INVALID, EXIT_UNSUPPORTED, EXIT_IO):
        if code in codes:
            raise typer.Exit(code)


def check(file: str) -> tuple[dict[str, Any] | None, int]:
    """Return a report on one file and its exit code; a file that cannot be read gives None."""
    from ddcodec.inspection.verify import verify as find

    report: dict[str, Any] = {"file": file, "valid": None, "unsupported": None, "findings": []}
    try:
        found = [asdict(one) for one in find(file if file != "-" else read_stdin())]
    except Unsupported as problem:
        return report | {"unsupported": str(problem)}, EXIT_UNSUPPORTED
    except SourceError as problem:
        error(str(problem))
        return None, EXIT_IO
    found = [one | {"where": one["where"] or file} for one in found]
    return report | {"valid": not found, "findings": found}, EXIT_INVALID if found else EXIT_OK


def read_stdin() -> bytes:
    """Return the bytes of stdin, one more than a file may have where there are too many."""
    from ddcodec.format.opening import read_stream
    from ddcodec.limits import Limits

    return read_stream(sys.stdin.buffer, Limits())


def describe(report: dict[str, Any]) -> str:
    """Return one line for a good file, one line more for each finding of a bad one."""
    name = printable(report["file"])
    if report["unsupported"] is not None:
        return f"{name}: unsupported: {printable(report['unsupported'])}"
    findings = report["findings"]
    if not findings:
        return f"{name}: valid"
    plural = "" if len(findings) == 1 else "s"
    lines = [f"{name}: invalid, {number(len(findings))} finding{plural}"]
    for finding in findings:
        where = f" ({finding['where']})" if finding["where"] not in ("", report["file"]) else ""
        lines.append(printable(f"  {finding['code']} {finding['message']}{where}"))
    return "\n".join(lines)
