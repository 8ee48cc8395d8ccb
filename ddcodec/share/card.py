"""The card of a file: the page that says what it is, how good, and what it is not for.

In the form of the Hugging Face hub: metadata as YAML, then Markdown
(https://huggingface.co/docs/hub/datasets-cards).
"""

from __future__ import annotations

import json
from typing import Any

from ..codecs.lic.integer_network import name_of
from ..codecs.registry import CODECS
from ..format.measured import others_of, transfer
from ..sources import digits
from .licences import hub_licence
from .markdown import escaped, fenced, front_matter, table
from .subject import PICTURE, Subject, network_text, settings_text

CLASSES_SHOWN = 100
_SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")]


def card(subject: Subject) -> str:
    """Return the card of a file, UTF-8 text for ``README.md``."""
    parts = [
        _head(subject),
        _use(subject),
        _accuracy(subject),
        _content(subject),
        _not_for(subject),
        _origin(subject),
    ]
    return front_matter(metadata(subject)) + "\n" + "\n\n".join(parts) + "\n"


def metadata(subject: Subject) -> dict[str, Any]:
    """Return what the hub indexes: licence, task, size, tags, papers, source data set."""
    manifest = subject.manifest
    ids = [subject.published.arxiv, *(paper.arxiv for paper in subject.papers)]
    papers = [f"arxiv:{name}" for name in dict.fromkeys(ids) if name]
    count = subject.samples or (subject.facts["patches"] or {}).get("count", 0)
    fields: dict[str, Any] = {
        **hub_licence(manifest.license),
        "pretty_name": f"{subject.source}, distilled to {subject.file.bytes:,} bytes",
        "task_categories": ["image-classification"],
        "size_categories": [next((name for most, name in _SIZES if count < most), "100K<n<1M")],
        "source_datasets": [f"extended|other-{subject.source}"],
        "library_name": "ddcodec",
        "tags": ["ddcodec", "dataset-distillation", "soft-labels", manifest.codec["name"], *papers],
    }
    if subject.sidecar is not None:
        files = [{"split": "train", "path": subject.sidecar.path}]
        fields["configs"] = [{"config_name": "default", "data_files": files}]
    return fields


def measured_text(measured: dict[str, Any] | None) -> str:
    """Return an accuracy with its deviation in percent: ``44.5 ± 0.4 %``."""
    if not measured:
        return "not measured"
    spread = f" ± {100 * measured['accuracy_std']:.1f}" if measured["nets"] > 1 else ""
    return f"{100 * measured['accuracy_mean']:.1f}{spread} %"


def _head(subject: Subject) -> str:
    facts, manifest = subject.facts, subject.manifest
    image = facts["image"]
    count = f"{subject.samples:,} " if subject.samples else ""
    reached = ""
    if measured := manifest.measured:
        reached = (
            f" Networks that were trained on this file alone reach "
            f"{measured_text(measured)} on the test images of {escaped(measured['test'])}."
        )
    text = (
        f"A distilled data set: {count}synthetic training images of "
        f"{image['height']} x {image['width']} pixels with soft labels of "
        f"{facts['classes']:,} classes, in one file of {subject.file.bytes:,} bytes "
        f"({facts['bits_per_class']:,.0f} bits per class). It was made from the "
        f"{escaped(manifest.source.get('split', 'train'))} split of {escaped(subject.source)} and "
        f"stands in for it when a classifier is trained.{reached}"
    )
    title = f"# {escaped(subject.source)} in {subject.file.bytes:,} bytes"
    picture = f"![What the file holds]({PICTURE})"
    return "\n\n".join([title, text, *([picture] if subject.pictured else [])])


def _use(subject: Subject) -> str:
    address = json.dumps(subject.address, ensure_ascii=False)
    code = f"import ddcodec\nassert ddcodec.verify({address}) == []\nds = ddcodec.load({address})"
    text = (
        "`ds[i]` is an image and its soft label; `ds.preprocess` turns real images into what the "
        "trained network expects. `ddcodec train` measures the file again."
    )
    labels = subject.manifest.labels
    if labels and "live" in labels:
        text += (
            f" A network is in the file, a {name_of(labels)} of "
            f"{subject.facts['bytes']['labels']:,} bytes, and labels every augmented view."
        )
    if external := subject.manifest.external:
        needs = "; ".join(f"{escaped(one['name'])}, {one['bytes']:,} bytes" for one in external)
        text += f" The images are made by a model that is not in the file: {needs}."
    return f"## Load it and check it\n\n{fenced(code, 'python')}\n\n{text}"


def _accuracy(subject: Subject) -> str:
    measured, recipe = subject.manifest.measured, subject.manifest.recipe
    rows = [
        ("network", network_text(subject.facts)),
        ("optimiser", settings_text(recipe["optimizer"])),
        ("steps", f"{recipe['steps']:,}"),
        ("images a step", f"{recipe['batch_size']:,}"),
        ("augmentation", recipe["augment"]),
        ("loss", recipe["loss"].replace("_", " ")),
    ]
    if measured:
        nets = measured["nets"]
        several = f"{nets} networks, mean and standard deviation, each from scratch"
        over = "one network, from scratch" if nets == 1 else several
        rows = [
            ("accuracy", measured_text(measured)),
            ("over", over),
            ("trained for", f"{measured['steps']:,} steps on this file alone"),
            ("tested on", f"{measured['test_count']:,} real images of {measured['test']}"),
            *_transfer(subject.manifest.measured_networks),
            *(row for row in rows if row[0] != "steps" or measured["steps"] != recipe["steps"]),
        ]
        text = "The file states this; `ddcodec train` repeats it."
    else:
        text = "Nobody has recorded an accuracy in the file. Its recipe:"
    first = subject.published
    if first.accuracy is not None:
        network = f", {first.network}" if first.network else ""
        rows.append(("stated by the set's authors", f"{100 * first.accuracy:.4g} %{network}"))
    return f"## Accuracy\n\n{text}\n\n{table(['', ''], rows)}"


def _transfer(networks: tuple[dict[str, Any], ...]) -> list[tuple[str, str]]:
    others, mean = others_of(networks), transfer(networks)
    if mean is None:
        return []
    each = ", ".join(f"{one['network']} {100 * one['accuracy_mean']:.1f} %" for one in others)
    of = "one other network" if len(others) == 1 else f"mean of {len(others)} other networks"
    return [("transfer", f"{100 * mean:.1f} %, {of}: {each}")]


def _content(subject: Subject) -> str:
    facts = subject.facts
    size = facts["bytes"]
    parts = {"header (classes, preprocessing, recipe)": size["header"], **size["tensors"]}
    rows = [
        (name, f"{count:,}", f"{100 * count / size['total']:.1f} %")
        for name, count in [*parts.items(), ("all", size["total"])]
    ]
    listed = escaped(subject.class_names(CLASSES_SHOWN))
    facts_rows = [
        ("method", f"{facts['codec']}: {CODECS[facts['codec']].title}"),
        ("pixels", f"{facts['pixels']:,}, {facts['ipc']:.3g} images per class"),
        (
            "preprocessing",
            f"{facts['image']['preprocessing']['kind']}, its coefficients in the file",
        ),
        *subject.rows,
    ]
    sidecar = ""
    if subject.sidecar is not None:
        sidecar = (
            "\n\n"
            f"`{subject.sidecar.path}` ({subject.sidecar.bytes:,} bytes) shows the same samples "
            "to the hub's viewer and to `datasets.load_dataset`: `image`, `label` (the strongest "
            "class) and `soft_label`. Its images are rounded to 8 bits; train on the `.ddset`."
        )
    return (
        f"## What is in it\n\n{table(['part', 'bytes', 'share'], rows, numbers=True)}\n\n"
        f"{table(['', ''], facts_rows)}\n\nClasses, in the order of the labels: {listed}.{sidecar}"
    )


def _not_for(subject: Subject) -> str:
    source, network = escaped(subject.source), escaped(network_text(subject.facts))
    return (
        "## What it must not be used for\n\n"
        "- To test a classifier. The images are synthetic and there is no test split: test on real "
        f"images of {source}.\n"
        f"- As pictures or statistics of {source}. They were optimised for training and "
        "are no sample of anything.\n"
        "- To compare networks of other kinds without measuring. The images were made for "
        f"{network}; others may learn much less from them.\n"
        "- With another preprocessing. A network trained on these images sees real ones only "
        "through `ds.preprocess`; without it, it guesses.\n"
        "- Where errors harm people, and as a way around rights in the source. Distilled images "
        "come from real ones, with their biases, and are not known to hide them."
    )


def _origin(subject: Subject) -> str:
    manifest = subject.manifest
    made, source = manifest.provenance, manifest.source
    if manifest.license is None:
        licence = "The file states none. Look at that of the source data set."
    else:
        licence = f"{escaped(manifest.license)}. That of the source data set applies beside it."
    if digits.are_source(source):
        licence += f" The source is {digits.TERMS}."
    first = subject.published
    lines = [f"- The set: {first.link}"] if first.link else []
    lines += [f"- {cited}" for cited in subject.citations]
    papers = "\n".join(lines)
    found = f" It was found at <{first.url}>." if first.url else ""
    return (
        f"## Where it comes from\n\n{fenced(made['command'], 'sh')}\n\n"
        f"by {escaped(made['tool'])}, from {source['count']:,} images (digest "
        f"`{source['digest']}`). Content digest of the file: `{manifest.content_digest}`.{found}"
        f"\n\n## Licence\n\n{licence}" + (f"\n\n## Cite\n\n{papers}" if papers else "")
    )
