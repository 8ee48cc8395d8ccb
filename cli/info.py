"""``ddcodec info``: what a file holds and what it costs, without torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from ddcodec.codecs.lic.integer_network import name_of
from ddcodec.errors import DDSetError

from .files import reading
from .flags import spelled
from .output import accuracy, byte_count, error, number, percent, table, write_json, write_line

Facts = dict[str, Any]
CLASSES_SHOWN = 12


def info(
    files: Annotated[
        list[str], typer.Argument(metavar="F...", help="Files to look at; also hf://...")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: an object, or a list for several files.")
    ] = False,
    equivalents: Annotated[
        bool,
        typer.Option(
            "--equivalents",
            help="Decode too, and say what the same takes as fp32 images, PNG and npz.",
        ),
    ] = False,
) -> None:
    """Show what is in a file, its pixels and bytes; several files make one table.

    A file among several that cannot be read is named on stderr, and its exit code is kept.
    """
    from ddcodec.inspection.info import examined

    facts: list[Facts] = []
    rows: list[tuple[str, str]] = []
    codes = set()
    for file in files:
        try:
            with reading(file) as place:
                found, rows = examined(place, equivalents=equivalents)
        except DDSetError as problem:
            if len(files) == 1:
                raise
            error(spelled(str(problem)))
            codes.add(problem.exit_code)
        else:
            facts.append(found | {"file": file})
    if as_json:
        write_json(facts[0] if len(files) == 1 else facts)
    elif len(files) == 1:
        write_line(describe(files[0], facts[0], rows))
    elif facts:
        write_line(compare([fact["file"] for fact in facts], facts))
    if codes:
        raise typer.Exit(min(codes))  # of several, as verify does: invalid, unsupported, I/O


def describe(file: str, facts: Facts, rows: list[tuple[str, str]]) -> str:
    """Return what is in one file, one property a line."""
    image, size, source = facts["image"], facts["bytes"], facts["source"]
    parts = {"header": size["header"], **size["tensors"]}
    rows = [
        ("file", file),
        ("codec", facts["codec"]),
        ("source", f"{source['name']}, {source['split']} split, {number(source['count'])} images"),
        ("classes", classes_text(facts)),
        ("images", f"{image['height']} x {image['width']} {image['colour']}"),
        ("preprocessing", image["preprocessing"]["kind"]),
        ("pixels", f"{number(facts['pixels'])} ({facts['ipc']:.4g} IPC)"),
        *rows,
        *label_rows(facts),
        ("bytes", number(size["total"])),
        *(
            (f"  {name}", f"{number(count)} ({percent(count / size['total'])})")
            for name, count in parts.items()
        ),
        ("bits per class", f"{facts['bits_per_class']:,.1f}"),
        *equivalent_rows(facts),
        ("external", external_text(facts["external"])),
        ("measured", measured_text(facts["measured"])),
        *transfer_rows(facts),
        *published_rows(facts),
        ("content digest", facts["content_digest"]),
    ]
    return table(rows, left=2)


def compare(files: list[str], facts: list[Facts]) -> str:
    """Return one table with a line for each file."""
    columns: dict[str, Callable[[Facts], str]] = {
        "codec": lambda fact: str(fact["codec"]),
        "classes": lambda fact: number(fact["classes"]),
        "pixels": lambda fact: number(fact["pixels"]),
        "IPC": lambda fact: f"{fact['ipc']:.4g}",
        "patches": lambda fact: number(fact["patches"]["count"] if fact["patches"] else 0),
        "bytes": lambda fact: number(fact["bytes"]["total"]),
        "bits/class": lambda fact: f"{fact['bits_per_class']:,.1f}",
        "measured": lambda fact: measured_text(fact["measured"], short=True),
    }
    if any(fact["transfer"] is not None for fact in facts):
        columns["transfer"] = lambda fact: (
            "-" if fact["transfer"] is None else percent(fact["transfer"])
        )
    if all("equivalents" in fact for fact in facts):
        columns["fp32 images/class"] = lambda fact: (
            f"{fact['equivalents']['fp32_images_per_class']:.3g}"
        )
        columns["as PNG"] = lambda fact: number(fact["equivalents"]["png"]["total"])
        columns["as npz"] = lambda fact: number(fact["equivalents"]["npz"]["total"])
    if any(fact["external"] for fact in facts):
        columns["external bytes"] = lambda fact: number(
            sum(item.get("bytes", 0) for item in fact["external"])
        )
    rows = [
        [file, *(show(fact) for show in columns.values())]
        for file, fact in zip(files, facts, strict=True)
    ]
    return table(rows, ["file", *columns], left=2)


def classes_text(facts: Facts) -> str:
    """Return the number of classes and the first names."""
    names = facts["class_names"]
    more = ", ..." if len(names) > CLASSES_SHOWN else ""
    return f"{number(facts['classes'])}: {', '.join(names[:CLASSES_SHOWN])}{more}"


def label_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return the lines about labels and class order."""
    labels, order = facts["labels"], facts["order"]
    rows = []
    if labels:
        pooling = f", {labels['pooling']} pooling" if "pooling" in labels else ""
        heat = f", temperature {labels['temperature']:g}" if "temperature" in labels else ""
        rows.append(("labels", f"{labels['kind']}{_teacher_text(facts)}{pooling}{heat}"))
    if order:
        columns, down = order["grid"]
        score = f", score {order['score']:.4g}" if "score" in order else ""
        rows.append(("class order", f"{columns}x{down} by rule {order['rule']}{score}"))
    return rows


def _teacher_text(facts: Facts) -> str:
    """Return what is said of the network that stands in a file and labels its images."""
    labels = facts["labels"]
    if "architecture" not in labels:
        return ""
    views = " that labels every view" if "live" in labels else ""
    taken = f"{number(facts['bytes']['labels'])} bytes"
    return f" in the file, a {name_of(labels)} network of {taken}{views}"


def equivalent_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return what the same takes in other forms, where that was computed."""
    if "equivalents" not in facts:
        return []
    same, total = facts["equivalents"], facts["bytes"]["total"]
    return [
        ("equivalent to", f"{same['fp32_images_per_class']:.3g} fp32 images per class"),
        *(
            (f"  as {title}", f"{number(same[key]['total'])} ({same[key]['total'] / total:.3g} x)")
            for key, title in (("png", "PNG"), ("npz", "npz"))
        ),
    ]


def published_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return the lines about licence and publication, where the file has such."""
    rows = [("license", facts["license"])] if facts["license"] else []
    known = facts["published"]
    if places := [known[name] for name in ("cite", "url") if name in known]:
        rows.append(("published", ", ".join(places)))
    if "stated" in known:
        network = known["stated"].get("network")
        figure = percent(known["stated"]["accuracy"])
        rows.append(("authors state", f"{figure} ({network})" if network else figure))
    return rows


def external_text(external: list[Facts]) -> str:
    """Return what is needed besides the file."""
    if not external:
        return "nothing, the file is enough"
    return "; ".join(
        f"{item.get('id', item.get('name', '?'))} ({byte_count(item.get('bytes', 0))})"
        for item in external
    )


def transfer_rows(facts: Facts) -> list[tuple[str, str]]:
    """Return what other networks learn from the file, where it says so."""
    if facts["transfer"] is None:
        return []
    count = sum(not entry.get("own") for entry in facts["measured_networks"])
    over = "one other network" if count == 1 else f"{count} other networks"
    return [("transfer", f"{percent(facts['transfer'])} over {over}")]


def measured_text(measured: Facts | None, short: bool = False) -> str:
    """Return the accuracy that the file states, with its std and the number of networks."""
    if not measured:
        return "-" if short else "not recorded"
    nets = measured.get("nets")
    std = None if nets == 1 else measured.get("accuracy_std")  # of one network there is none
    figure = accuracy(measured["accuracy_mean"], std)
    if short or nets is None:
        return figure
    return f"{figure}, {nets} networks" if nets > 1 else f"{figure}, one network"
