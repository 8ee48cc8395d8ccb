"""Measure the published files again with the present code: ``make results``, or with ARGS.

Each file learns and is tested as ``ddcodec train F`` does it, with as many networks and steps as it
records; what is finished is kept beside it until the file is done, so an interrupted run goes on.
What differs from the record by more than two standard errors, those of both taken together, is said
on stdout. The new figures go into ``examples/results/measured.json``, and from there and from the
files into the pages. A file itself changes only with --record.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import result_tables
from ddcodec_cli.output import accuracy
from ddcodec_cli.recording import entry as row
from ddcodec_cli.recording import rounded, tool, write_down
from ddcodec_cli.train import StudentOptions, measure

from ddcodec.codecs.options import Common
from ddcodec.data.opening import load
from ddcodec.errors import DDSetError
from ddcodec.judge.field import names_of
from ddcodec.runtime.atomic import write_atomically

ERRORS = 2.0  # standard errors from which on a figure counts as changed

Entry = dict[str, Any]


def main(words: Sequence[str] | None = None) -> int:
    """Measure the files asked for; return 0, 1 where one could not be measured, 130 if stopped."""
    asked = parser().parse_args(words)
    files = [
        path
        for path in sorted(result_tables.RESULTS.glob("*.ddset"))
        if not asked.only or any(part in path.stem for part in asked.only.split(","))
    ]
    if not files:
        sys.stderr.write(f"error: no published file has '{asked.only}' in its name\n")
        return 2
    done, changes, written = 0, 0, dict[str, None]()
    for path in files:
        try:
            found = again(path, asked)
        except DDSetError as problem:
            sys.stderr.write(f"{path.name}: not measured: {problem}\n")
            continue
        except KeyboardInterrupt:  # what is finished is kept, and said
            return 130
        done, changes = done + 1, changes + len(found)
        written |= dict.fromkeys(result_tables.write())
        sys.stdout.write("".join(f"changed: {line}\n" for line in found))
    sys.stdout.write("".join(f"{name}: written\n" for name in written))
    sys.stdout.write(
        f"{done} of {len(files)} files measured, {changes} figures changed by more than "
        f"{ERRORS:g} standard errors\n"
    )
    return 0 if done == len(files) else 1


def parser() -> argparse.ArgumentParser:
    about, _, more = (__doc__ or "").partition("\n\n")
    found = argparse.ArgumentParser(description=about, epilog=more)
    found.add_argument("--only", metavar="A,B", help="files with one of these in their names")
    found.add_argument("--nets", type=int, metavar="N", help="networks [default: as recorded]")
    found.add_argument("--baselines", action="store_true", help="those of train, too")
    found.add_argument("--arch", metavar="A,B", help="other networks, too; kept by --record alone")
    found.add_argument("--record", action="store_true", help="write what is found into the files")
    found.add_argument("--device", default="auto", metavar="D")
    return found


def again(path: Path, asked: argparse.Namespace) -> list[str]:
    """Measure a file, store what was found, and return what changed, a line each."""
    ds = load(path)
    old = ds.manifest.measured
    nets = asked.nets or (old["nets"] if old else 8)
    steps = old["steps"] if old else None
    chosen = StudentOptions(
        nets=nets, steps=steps, baselines=asked.baselines, architecture=asked.arch
    )
    names = None if asked.arch is None else names_of(asked.arch)
    common = Common(device=asked.device)
    report, finished = measure(str(path), path, ds, None, chosen, common, names)
    new = kept(report) | {"tool": tool()}
    place = result_tables.RESULTS / "measured.json"
    stored = json.loads(place.read_text(encoding="utf-8"))
    entry = stored.setdefault(path.stem, {})
    pairs = [("", old, new)]
    if report["baselines"]:
        before = entry.get("baselines", {})
        found = {
            name: kept({"nets": nets} | each)
            for name, each in report["baselines"].items()
            if each["accuracy_mean"] is not None  # of what does not fit
        }
        pairs += [(f", {name}", before.get(name), found[name]) for name in found]
        entry["baselines"] = before | {
            name: each for name, each in found.items() if each["nets"] >= nets_of(before.get(name))
        }
    told = {known_by(each): each for each in ds.manifest.measured_networks}
    for each in map(row, report.get("networks", ())):
        pairs.append((f", {each['network']}", told.get(known_by(each)), each))
    if report["network_in_file"] is not None:
        entry["network_in_file"] = round(report["network_in_file"], 4)
    entry["again"] = new
    text = json.dumps(stored, indent=1, sort_keys=True, ensure_ascii=False)
    write_atomically(place, f"{text}\n".encode())
    if asked.record:
        write_down(path, report)
    finished.remove()  # not before it is stored
    return [
        f"{path.name}{what}: {said(a)}, now {said(b)}"
        for what, a, b in pairs
        if a is not None and changed(a, b)
    ]


def kept(entry: Entry) -> Entry:
    """Return what is stored of a result."""
    more = ["nets", "steps"] + ["bytes", "widths"] * ("widths" in entry)  # of a network
    return rounded(entry) | {name: entry[name] for name in more if name in entry}


def known_by(entry: Entry) -> tuple[Any, ...]:
    """Return by what a network of a table is found again: its name and its way to learn."""
    return tuple(entry[name] for name in ("network", "norm", "optimizer", "lr", "steps"))


def nets_of(entry: Entry | None) -> int:
    """Return over how many networks a stored mean is; those of the first pages were over 8."""
    return 0 if entry is None else int(entry.get("nets", 8))


def changed(old: Entry, new: Entry) -> bool:
    """Say whether two means differ by more than ``ERRORS`` of their standard errors together."""
    distance = abs(new["accuracy_mean"] - old["accuracy_mean"])
    return distance > ERRORS * math.hypot(standard_error(old), standard_error(new)) + 5e-5


def standard_error(entry: Entry) -> float:
    """Return the standard error of a mean over networks, 0 for one; the std is the population's."""
    nets = nets_of(entry)
    return float(entry["accuracy_std"]) / math.sqrt(nets - 1) if nets > 1 else 0.0


def said(entry: Entry) -> str:
    return accuracy(entry["accuracy_mean"], entry["accuracy_std"])


if __name__ == "__main__":
    sys.exit(main())
