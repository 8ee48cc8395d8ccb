"""The figures of README and docs, from the published files and what was measured beside them.

``python docs/result_tables.py`` writes them between marks in the pages: ``<!-- results:NAME -->``
and ``<!-- /results -->``. A NAME is that of a table below, or FILE:FIELD for one figure in a
sentence. Nothing is measured here; ``remeasure.py`` does that. Both JSON files lie beside the
published ones: ``made.json`` says how files were made, and is written by hand; ``measured.json`` is
written by ``remeasure.py``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ddcodec import info
from ddcodec.format.measured import others_of

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "examples" / "results"
PAGES = (
    *("README.md", "docs/index.md", "docs/results.md", "docs/architectures.md", "docs/lic.md"),
    "examples/results/README.md",
)
MARKED = re.compile(r"<!-- results:(\S+) -->(.*?)<!-- /results -->", re.DOTALL)
BASELINES = {
    "class_means_same_pixels": "class means, same pixels",
    "random_images_same_pixels": "random images, same pixels",
    "class_means_same_bytes": "class means, same bytes",
    "random_images_same_bytes": "random images, same bytes",
}
FIRST = (
    *("digits-0.4", "digits-0.9", "cifar10-2k", "cifar10-5k", "cifar10-1.0-90m", "cifar10-10k"),
    *("cifar10-20k", "cifar10-20k-live", "cifar10-50k", "cifar10-100k"),
    *("cifar100-2k", "cifar100-5k", "cifar100-5k-live", "cifar100-10k", "cifar100-30k"),
    "cifar100-70k",
)
SHIPPED = ("digits-0.9", "cifar10-10k", "cifar10-20k", "cifar100-2k", "cifar100-0.4")
RANDOM = [f"random_images_{kind}" for kind in ("same_bytes", "jpeg", "webp", "avif")]
LONGER = (
    *("cifar10-0.3", "cifar10-0.7", "cifar10-1.0", "cifar10-1.0-4bits", "cifar10-1.0-30m"),
    *("cifar10-1.0-90m", "cifar10-2k", "cifar10-5k", "cifar10-10k", "cifar10-20k"),
    *("cifar10-20k-live", "cifar10-50k", "cifar10-100k", "cifar100-2k", "cifar100-5k"),
    *("cifar100-5k-live", "cifar100-0.4", "cifar100-10k", "cifar100-30k", "cifar100-70k"),
)

Entry = dict[str, Any]


@cache
def stored(name: str) -> Entry:
    """Return ``made.json`` or ``measured.json``."""
    found: Entry = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return found


@cache
def facts(stem: str) -> Entry:
    """Return ``info`` of a published file."""
    return info(RESULTS / f"{stem}.ddset")


def made(stem: str) -> Entry:
    found: Entry = stored("made.json")["files"][stem]
    return found


def baselines(stem: str) -> Entry:
    found: Entry = stored("measured.json").get(stem, {}).get("baselines", {})
    return found


def accuracy(entry: Entry | None) -> str:
    """Return mean and deviation in percent, no deviation of one network, nothing for None."""
    if entry is None:
        return ""
    size = f" ({entry['bytes']:,} bytes)" if "bytes" in entry else ""
    spread = "" if entry.get("nets") == 1 else f" ± {100 * entry['accuracy_std']:.1f}"
    return f"{100 * entry['accuracy_mean']:.1f}{spread}{size}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["".join(f"| {cell} " if cell else "| " for cell in row) + "|" for row in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines)


def size_of(stem: str) -> tuple[str, str]:
    """Return bytes and bits per class."""
    found = facts(stem)
    return f"{found['bytes']['total']:,}", f"{found['bits_per_class']:,.0f}"


def beside(stem: str, *names: str) -> str:
    """Return the best of some baselines; its bytes where they are more than the file's."""
    found = [entry for name in names if (entry := baselines(stem).get(name))]
    if not found:
        return ""
    best = dict(max(found, key=lambda entry: entry["accuracy_mean"]))
    if best.get("bytes", 0) <= facts(stem)["bytes"]["total"]:
        best.pop("bytes", None)
    return accuracy(best)


def readme() -> str:
    """Some files beside what else fits into the same bytes."""
    rows = []
    for stem in FIRST:
        how, found = made(stem), facts(stem)
        cells = [how["title"], found["codec"], size_of(stem)[0], accuracy(found["measured"])]
        cells += [beside(stem, *RANDOM), beside(stem, "class_means_same_bytes")]
        cells.append(inside(stem) or beside(stem, "quantised_network_same_bytes"))
        rows.append([*cells, how["encoded_in"]])
    head = "data set, images per class|codec|bytes|this file|random images|class means"
    head += "|a network|encoded in"
    return table(head.split("|"), rows)


def network_in(stem: str) -> float | None:
    """Return the accuracy of the network in a file, None where there is none."""
    known: float | None = stored("measured.json").get(stem, {}).get("network_in_file")
    return known


def inside(stem: str) -> str:
    """Return what the network in a file knows itself, nothing where there is none."""
    known = network_in(stem)
    return "" if known is None else f"{100 * known:.1f} (in the file)"


def digits() -> str:
    """Both files of digits beside all baselines."""
    rows = []
    for stem in ("digits-0.4", "digits-0.9"):
        beside = [accuracy(baselines(stem)[name]) for name in BASELINES]
        own = accuracy(facts(stem)["measured"])
        ipc = stem.partition("-")[2]
        rows.append([ipc, f"{facts(stem)['pixels']:,}", size_of(stem)[0], own, *beside])
    return table(["IPC", "pixels", "bytes", "this file", *BASELINES.values()], rows)


def cifar() -> str:
    """The files of CIFAR by the command that made them."""
    rows = []
    for stem in LONGER:
        how, note = made(stem), made(stem).get("note")
        command = f"`{how['command']}`" + (f" ({note})" if note else "")
        own = accuracy(facts(stem)["measured"])
        rows.append([command, *size_of(stem), own, how["encoded_in"], str(how.get("paper", ""))])
    return table(["command", "bytes", "bits per class", "accuracy", "encoded in", "paper"], rows)


def files() -> str:
    """Every published file."""
    rows = []
    for stem in sorted(stored("made.json")["files"]):
        how, own = made(stem), accuracy(facts(stem)["measured"])
        link = f"[{stem}.ddset]({stem}.ddset)"
        paper = str(how.get("paper", ""))
        rows.append([link, *size_of(stem), own, paper, f"`{how['command']}`", how["encoded_in"]])
    head = "file|bytes|bits per class|accuracy, %|the paper's, %|made by|in"
    return table(head.split("|"), rows)


def again() -> str:
    """What ``remeasure.py`` found, beside what the files say."""
    rows = []
    for stem, entry in sorted(stored("measured.json").items()):
        if "again" not in entry:
            continue
        new, old = entry["again"], facts(stem)["measured"]
        how = f"{new['nets']} of {new['steps']} steps"
        rows.append([stem, accuracy(old), accuracy(new), how, new["tool"]])
    return table(["file", "in the file, %", "again, %", "networks", "with"], rows)


def networks() -> str:
    """What a file of digits records of its own network and of others."""
    return networks_of("digits-0.9-networks")


def cifar_networks() -> str:
    """What a file of CIFAR-10 records of them."""
    return networks_of("cifar10-1.0-networks")


def networks_of(stem: str) -> str:
    found = facts(stem)
    recipe = found["recipe"]
    own = recipe["optimizer"] | {"network": None, "norm": recipe["network"]["norm"]}
    own |= {"optimizer": own["name"]} | found["measured"]
    rows = []
    for entry in [own, *found["measured_networks"]]:
        mine = entry["network"] is None or entry.get("own")
        kind = "the file's own" if mine else f"`{entry['network']}`"
        how = f"{entry['optimizer']} {entry['lr']:g}"
        rows.append([kind, entry["norm"], accuracy(entry), str(entry["steps"]), how])
    return table(["network", "norm", "accuracy, %", "steps", "optimiser, rate"], rows)


def shipped() -> str:
    """Files beside networks that fit into their bytes."""
    rows = []
    for stem in SHIPPED:
        entry, found = baselines(stem)["quantised_network_same_bytes"], facts(stem)
        name = f"`{stem}.ddset`, {found['bytes']['total']:,}"
        reached = accuracy({key: value for key, value in entry.items() if key != "bytes"})
        row = [name, accuracy(found["measured"]), reached, f"{entry['bytes']:,}"]
        widths = ", ".join(map(str, entry["widths"]))
        rows.append([*row, str(entry["nets"]), widths, f"{entry['steps']:,}"])
    head = "file, bytes|networks that learn from the file|quantised network|its bytes|networks"
    return table([*head.split("|"), "channels of its blocks", "steps"], rows)


def printed() -> str:
    """What the Python of the README prints."""
    found = facts("digits-0.9")
    lines = [
        f"{found['patches']['count']} images (1, 8, 8) of {found['classes']} classes",
        *["batch (6, 1, 8, 8) (6, 10)"] * (found["patches"]["count"] // 6),
        f"{found['bytes']['total']} bytes, accuracy {found['measured']['accuracy_mean']}",
        "[]",
    ]
    return "\n".join(["```text", *lines, "```"])


TABLES: dict[str, Callable[[], str]] = {
    each.__name__: each
    for each in (
        *(readme, digits, cifar, files, again),
        *(networks, cifar_networks, shipped, printed),
    )
}


def figure(stem: str, field: str) -> str:
    """Return one figure of a sentence: ``bytes``, ``mean``, ``accuracy``, or a baseline's.

    ``transfer`` is the mean over other networks, ``least`` and ``most`` are the ends of what they
    reach, ``more-than-OTHER`` is the distance to another file, ``network`` is what the network in
    it knows itself, ``thousand-steps`` what students of 1,000 steps have.
    """
    others = stored("made.json")["others"]
    if stem in others:
        return accuracy({name: others[stem][name] for name in ("accuracy_mean", "accuracy_std")})
    found = facts(stem)
    own = found["measured"]
    if field == "bytes":
        return size_of(stem)[0]
    if field == "accuracy":
        return accuracy(own)
    if field == "mean":
        return f"{100 * own['accuracy_mean']:.1f}"
    if field == "transfer":
        return f"{100 * found['transfer']:.1f}"
    if field == "network":
        return inside(stem).partition(" ")[0]
    if field == "thousand-steps":
        return accuracy(stored("measured.json")[stem]["thousand_steps"])
    if field in ("least", "most"):
        others = [entry["accuracy_mean"] for entry in others_of(found["measured_networks"])]
        return f"{100 * (min if field == 'least' else max)(others):.1f}"
    if field.startswith("more-than-"):
        other = facts(field.removeprefix("more-than-"))["measured"]
        return f"{100 * (own['accuracy_mean'] - other['accuracy_mean']):.1f}"
    name = field.removesuffix(".mean")
    entry = {k: v for k, v in baselines(stem)[name].items() if k != "bytes"}
    return accuracy(entry).split(" ")[0] if name != field else accuracy(entry)


def filled(text: str) -> str:
    """Return a page with what belongs between its marks; raises KeyError for an unknown name."""

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        stem, _, field = name.partition(":")
        inside = figure(stem, field) if field else f"\n\n{TABLES[name]()}\n\n"
        return f"<!-- results:{name} -->{inside}<!-- /results -->"

    return MARKED.sub(fill, text)


def write() -> list[str]:
    """Write the figures into the pages; return the names of those that changed."""
    stored.cache_clear()
    facts.cache_clear()
    changed = []
    for name in PAGES:
        before = (ROOT / name).read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            (ROOT / name).write_text(after, encoding="utf-8")
            changed.append(name)
    return changed


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}: written\n" for name in write()))
