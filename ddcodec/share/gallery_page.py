"""The page of a gallery: one HTML file that fetches nothing but the pictures beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

from ..version import __version__
from .card import measured_text
from .gallery_chart import COLOURS, Point, chart, series_of
from .subject import Subject, network_text

CLASSES_SHOWN = 40
WIDE, NARROW = (1000, 380), (340, 300)  # units of the curve on a desk and on a phone


@dataclass(frozen=True)
class Entry:
    """A row: a file, its picture, the larger one behind it, and where it can be downloaded."""

    subject: Subject
    name: str
    row: str
    pictures: tuple[str, str] | None = None
    size: tuple[int, int] = (1, 1)  # of the first picture
    link: str | None = None


def page(entries: Sequence[Entry], title: str) -> str:
    """Return the page as HTML, rows by bits per class. All text of files is escaped."""
    entries = sorted(entries, key=lambda entry: entry.subject.facts["bits_per_class"])
    style, script = (
        resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
        for name in ("gallery.css", "gallery.js")
    )
    policy = (
        "default-src 'none'; img-src 'self' file:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    count = "one file" if len(entries) == 1 else f"{len(entries)} files"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{count}. Each is a whole training set for image classification: a network that sees nothing else
reaches the accuracy in its row on real test images; only those on the same images compare. Bytes
are those of the whole file.</p>
</header>
<main>
{_figure(entries)}
<table>
<thead><tr><th>Picture</th>{"".join(map(_title, COLUMNS))}</tr></thead>
<tbody>
{"".join(map(_row, entries))}</tbody>
</table>
</main>
<footer>Made by ddcodec {escape(__version__)}.</footer>
<script>{script}</script>
</body>
</html>
"""


COLUMNS = ("File", "Bits per class", "Bytes", "Accuracy", "Network", "Licence")
_NUMBERS = ("Bits per class", "Bytes", "Accuracy")


def _title(name: str) -> str:
    kind = ' class="n"' if name in _NUMBERS else ""
    order = "ascending" if name == "Bits per class" else "none"
    return f'<th{kind} scope="col" aria-sort="{order}"><button type="button">{name}</button></th>'


def _row(entry: Entry) -> str:
    subject, facts = entry.subject, entry.subject.facts
    measured = subject.manifest.measured
    name = escape(entry.name)
    if entry.link is not None:
        name = f'<a href="{escape(entry.link)}" download>{name}</a>'
    image, classes = facts["image"], facts["classes"]
    about = f"{facts['codec']}, {subject.source}, {classes:,} classes, "
    about += f"{image['height']} x {image['width']} pixels"
    if subject.manifest.external:
        about += f", needs a model of {sum(one['bytes'] for one in facts['external']):,} bytes"
    tested = f"<small>on {escape(measured['test'])}</small>" if measured else ""
    if facts["transfer"] is not None:
        tested += f"<small>other networks {100 * facts['transfer']:.1f} %</small>"
    network = network_text(facts)
    licence = subject.manifest.license or ""
    cells = [
        f"<td>{_picture(entry)}</td>",
        f'<td data-value="{escape(entry.name)}"><strong>{name}</strong>'
        f"<small>{escape(about)}</small>{_details(subject)}</td>",
        _cell("Bits per class", facts["bits_per_class"], f"{facts['bits_per_class']:,.0f}"),
        _cell("Bytes", subject.file.bytes, f"{subject.file.bytes:,}"),
        _cell("Accuracy", measured["accuracy_mean"] if measured else "",
              f"<span>{measured_text(measured)}{tested}</span>"),
        _cell("Network", network, escape(network)),
        _cell("Licence", licence, escape(licence) or "not stated"),
    ]  # fmt: skip
    return f'<tr id="{entry.row}">{"".join(cells)}</tr>\n'


def _cell(name: str, value: object, shown: str) -> str:
    kind = ' class="n"' if name in _NUMBERS else ""
    return f'<td{kind} data-label="{name}" data-value="{escape(str(value))}">{shown}</td>'


def _picture(entry: Entry) -> str:
    if entry.pictures is None:
        return "<small>its images are made by a model</small>"
    (small, large), (width, height) = map(escape, entry.pictures), entry.size
    return (
        f'<a href="{large}"><img src="{small}" width="{width}" height="{height}" loading="lazy" '
        f'alt="What {escape(entry.name)} holds"></a>'
    )


def _details(subject: Subject) -> str:
    manifest = subject.manifest
    rows = {
        "Classes": subject.class_names(CLASSES_SHOWN),
        "Made by": manifest.provenance["command"],
        "Recipe": _recipe(manifest.recipe),
        "Content digest": manifest.content_digest,
    }
    items = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows.items())
    return f"<details><summary>Details</summary><dl>{items}</dl></details>"


def _recipe(recipe: dict[str, Any]) -> str:
    return (
        f"{recipe['steps']:,} steps of {recipe['batch_size']:,} images, "
        f"{recipe['optimizer']['name']}, augmentation {recipe['augment']}"
    )


def _figure(entries: Sequence[Entry]) -> str:
    points = []
    for entry in entries:
        if measured := entry.subject.manifest.measured:
            bits, name = entry.subject.facts["bits_per_class"], entry.name
            mean, std = measured["accuracy_mean"], measured["accuracy_std"]
            points.append(Point(measured["test"], bits, mean, std, name, entry.row))
    if not points:
        return ""
    legend = "".join(
        f'<span><i class="s{index % COLOURS}"></i>{escape(series)}</span>'
        for index, series in enumerate(series_of(points))
    )
    drawn = "".join(
        chart(points, *size).replace("<svg ", f'<svg class="{kind}" ', 1)
        for kind, size in (("wide", WIDE), ("narrow", NARROW))
    )
    return (
        f"<figure><figcaption><b>Accuracy against bits per class</b>{legend}</figcaption>"
        f"{drawn}</figure>"
    )


def _hash(text: str) -> str:
    """Return the name of an inline text in a content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
