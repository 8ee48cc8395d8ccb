"""What a sweep has found so far: ``sweep.json`` in its folder, and the same as CSV and markdown.

``sweep.json`` is written whole after every finished point, so that an interrupted sweep goes on
where it was. Its ``identity`` says what all points have in common; a sweep with another one needs
another folder. Accuracies are shares of 1, sizes bytes, times seconds.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CheckpointMismatch, UsageError
from ..runtime.atomic import write_atomically
from ..runtime.finished import Finished
from .grid import Place, quality_title
from .verdict import network_in_file, sentence

VERSION = 1
NAMES = ("sweep.json", "sweep.csv", "sweep.md")

Entry = dict[str, Any]

COLUMNS = (
    *("kind", "series", "ipc", "quality", "preprocessing", "seed", "images_per_class", "bytes"),
    *("bits_per_class", "accuracy_mean", "accuracy_std", "nets", "file"),
    *("network_in_file", "total_bytes"),
)
_HEADS = (
    *("trained on", "budget", "quality", "preprocessing", "seed"),
    *("bytes", "bits per class", "accuracy"),
)
_MEASURED = ("bytes", "bits_per_class", "accuracy_mean", "accuracy_std", "per_net")
_PLACE = ("ipc", "quality", "preprocessing")
_POINT = (*_PLACE, "seed", "file", "content_digest", "commands", *_MEASURED)
_BASELINE = ("name", *_PLACE, "budget_bytes")
BASELINE_TITLES = {
    "random_images_jpeg": "random images, JPEG",
    "random_images_webp": "random images, WebP",
    "random_images_avif": "random images, AVIF",
    "random_images_observer_labels": "random images, soft labels",
    "k_means": "k-means centroids, 8-bit pixels",
    "herding": "herding, same pixels",
    "k_centres": "k-centres, same pixels",
    "quantised_network": "quantised network",
}


@dataclass
class SweepRecord(Finished):
    """The results of a sweep in its folder; nothing is written before ``save``."""

    folder: Path
    identity: Entry  # what all points have in common, plain JSON
    points: list[Entry] = field(default_factory=list)  # ``per_net``: accuracy of each network
    baselines: list[Entry] = field(default_factory=list)  # accuracies None where nothing fits
    full_data: Entry | None = None
    notes: list[str] = field(default_factory=list)  # what was left out, and why, one line each
    begun: Entry = field(default_factory=dict)  # networks of the point that is not finished, by key

    @classmethod
    def open(cls, folder: Path, identity: Entry) -> SweepRecord:
        """Return the record in ``folder``, or a new one where there is none.

        Raises CheckpointMismatch where it is that of another sweep, UsageError where it is none.
        """
        record = cls(folder, identity)
        path = folder / NAMES[0]
        if not path.exists():
            return record
        found = _parse(path)
        for name, value in record.identity.items():
            if found["identity"].get(name) != value:
                raise CheckpointMismatch(
                    f"{path}: belongs to a sweep with other settings: {name} was "
                    f"{_shown(found['identity'].get(name))}, now {_shown(value)}; "
                    "choose another `out`"
                )
        record.points, record.baselines = found["points"], found["baselines"]
        record.full_data, record.begun = found["full_data"], found.get("begun", {})
        return record

    def find(self, key: str) -> Any:
        """Return the result of a network of the point that is under way, or None."""
        return self.begun.get(key)

    def keep(self, key: str, value: Any) -> None:
        """Keep the result of a network; raises OutputError."""
        self.begun[key] = value
        self.save()

    def point(self, place: Place, seed: int) -> Entry | None:
        """Return the entry of a point, or None if it is not measured yet."""
        wanted = (place, seed)
        return next((e for e in self.points if (Place.of(e), e["seed"]) == wanted), None)

    def baseline(self, name: str, place: Place) -> Entry | None:
        """Return the entry of a baseline at the size of a place, or None."""
        wanted = (name, place)
        return next((e for e in self.baselines if (e["name"], Place.of(e)) == wanted), None)

    def as_json(self) -> Entry:
        """Return everything as plain JSON values, points in the order of the grid."""
        return {
            "sweep": VERSION,
            "identity": self.identity,
            "points": sorted(self.points, key=lambda e: (*_in_grid(e), e["seed"])),
            "baselines": sorted(self.baselines, key=lambda e: (e["name"], *_in_grid(e))),
            "full_data": self.full_data,
            "notes": self.notes,
            **({"begun": self.begun} if self.begun else {}),
        }

    def points_with_network(self) -> list[Entry]:
        """Return the points whose file holds a network that labels views, in order of the grid."""
        # Records of earlier versions do not say.
        found: list[Entry] = self.as_json()["points"]
        return [entry for entry in found if entry.get("network_in_file") is not None]

    def verdict(self) -> str | None:
        """Return in a line which baselines are better than files, None where there are none."""
        return sentence(self.points, self.baselines, BASELINE_TITLES)

    def save(self) -> None:
        """Write all three files, each whole or not at all; raises OutputError."""
        text = json.dumps(self.as_json(), indent=1, allow_nan=False) + "\n"
        for name, content in zip(NAMES, (text, to_csv(self), to_markdown(self)), strict=True):
            write_atomically(self.folder / name, content.encode())


def to_csv(record: SweepRecord) -> str:
    """Return a line for every file and baseline."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for kind, entry in _entries(record):
        row = {"kind": kind, "series": entry.get("name", ""), **entry}
        row["nets"] = len(entry["per_net"]) if entry.get("per_net") else ""
        table.writerow(row)
    return text.getvalue()


def to_markdown(record: SweepRecord) -> str:
    """Return the results as one table, with the commands that make each of them again."""
    what = record.identity
    lines = [
        f"# {_cell(what['source'])}: accuracy against bytes",
        "",
        f"Tested on {what['test_images']:,} images of {_cell(what['test'])}, {what['nets']} "
        f"networks each, mean ± std over networks, in percent. Sizes hold everything.",
        "",
        f"| {' | '.join(_HEADS)} |",
        f"|{len(_HEADS) * '---|'}",
    ]
    for kind, entry in _entries(record):
        found = "does not fit"
        if entry["accuracy_mean"] is not None:
            found = f"{100 * entry['accuracy_mean']:.1f} ± {100 * entry['accuracy_std']:.1f}"
        cells = [
            _cell(_title(kind, entry)),
            Place.of(entry).budget if "ipc" in entry else "",
            quality_title(entry.get("quality", "")),
            entry.get("preprocessing", ""),
            str(entry.get("seed", "")),
            f"{entry['bytes']:,}",
            f"{entry['bits_per_class']:,.1f}",
            found,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for entry in record.points_with_network():
        said = network_in_file(entry["network_in_file"])
        lines += ["", f"{_cell(entry['file'])}, no training: {said}."]
    lines += [
        "",
        "A baseline keeps to the bytes, or pixels, of the file of its budget and quality.",
    ]
    if verdict := record.verdict():
        lines += ["", verdict]
    lines += [f"Left out: {_cell(note)}." for note in record.notes]
    lines += ["", "## The same again", "", "| file | commands |", "|---|---|"]
    for entry in record.as_json()["points"]:
        commands = " <br> ".join(f"`{_cell(command)}`" for command in entry["commands"])
        lines.append(f"| {_cell(entry['file'])} | {commands} |")
    return "\n".join(lines) + "\n"


def _entries(record: SweepRecord) -> Iterator[tuple[str, Entry]]:
    found = record.as_json()
    yield from (("distilled", entry) for entry in found["points"])
    yield from (("baseline", entry) for entry in found["baselines"])
    if record.full_data:
        yield "full", record.full_data


def _title(kind: str, entry: Entry) -> str:
    if kind == "full":
        return "all training images"
    name = str(entry["file"] if kind == "distilled" else entry["name"])
    return BASELINE_TITLES.get(name, name)


def _in_grid(entry: Entry) -> tuple[tuple[bool, float], str, str]:
    place = Place.of(entry)
    return (place.rank, place.quality, place.preprocessing)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _shown(value: Any) -> str:
    return json.dumps(value) if value is not None else "not set"


def _parse(path: Path) -> Entry:
    """Return the content of a ``sweep.json``; raises UsageError for anything else."""
    broken = UsageError(f"{path}: is not the record of a sweep; move it away or choose another")
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise broken from None
    if not isinstance(found, dict) or found.get("sweep") != VERSION:
        raise broken
    full = found.get("full_data")
    complete = (
        isinstance(found.get("identity"), dict)
        and isinstance(found.get("begun", {}), dict)
        and _all_have(found.get("points"), _POINT)
        and _all_have(found.get("baselines"), (*_BASELINE, *_MEASURED))
        and (full is None or _all_have([full], _MEASURED))
        and all(map(_has_one_budget, (*found["points"], *found["baselines"])))
    )
    if not complete:
        raise broken
    return found


def _has_one_budget(entry: Entry) -> bool:
    return (entry["ipc"] is None) != (entry.get("total_bytes") is None)


def _all_have(entries: Any, names: tuple[str, ...]) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and all(name in entry for name in names) for entry in entries
    )
