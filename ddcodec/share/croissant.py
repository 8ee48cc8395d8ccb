"""The same in Croissant 1.1, which search engines and loaders of other tools read.

Specification: http://mlcommons.org/croissant/1.1.
"""

from __future__ import annotations

from typing import Any

from .card import measured_text
from .licences import licence_page
from .subject import Stored, Subject

VERSION = "http://mlcommons.org/croissant/1.1"
_SAMPLES = "samples"

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "key": "cr:key",
    "md5": "cr:md5",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
} | {
    term: f"cr:{term}"
    for term in (
        "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field",
        "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset",
        "jsonPath", "parentField", "path", "recordSet", "references", "regex", "repeated",
        "replace", "samplingRate", "separator", "source", "subField", "transform",
    )
}  # fmt: skip


def croissant(subject: Subject) -> dict[str, Any]:
    """Return the metadata of a file as a JSON object for ``croissant.json``.

    With a sidecar its record set ``samples`` has the decoded images, labels and soft labels.
    """
    manifest, facts = subject.manifest, subject.facts
    first = subject.published
    papers = [*([first.link] if first.link else []), *subject.citations]
    out: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": f"{subject.source}, distilled to {subject.file.bytes} bytes",
        "description": (
            f"A distilled data set: synthetic training images with soft labels of "
            f"{facts['classes']} classes, made from {subject.source}. Accuracy of networks that "
            f"were trained on it alone: {measured_text(manifest.measured)}. It is for training "
            "only: test on real images."
        ),
        "keywords": ["dataset distillation", "image classification", "soft labels", facts["codec"]],
        "version": "1.0.0",
        "isLiveDataset": False,
        "distribution": [_file(subject.file, "application/vnd.safetensors")],
        "recordSet": [_classes(manifest.classes)],
    }
    if manifest.license is not None:
        out["license"] = licence_page(manifest.license)
    if papers:
        out["citeAs"] = "; ".join(papers)
    if subject.repo is not None:
        owner = {"@type": "sc:Organization", "name": subject.repo.split("/")[0]}
        out |= {"url": f"https://huggingface.co/datasets/{subject.repo}", "publisher": owner}
    if first.url is not None:
        out["sameAs"] = first.url
    if subject.sidecar is not None:
        out["distribution"].append(_file(subject.sidecar, "application/x-parquet"))
        out["recordSet"].append(_samples(subject.sidecar.path, len(manifest.classes)))
    return out


def _file(stored: Stored, form: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": stored.path,
        "name": stored.path,
        "contentUrl": stored.path,
        "contentSize": f"{stored.bytes} B",
        "encodingFormat": form,
        "sha256": stored.sha256,
    }


def _classes(names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "The classes, in the order of the labels.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/index"},
        "field": [
            _field("classes/index", "Number of the class in labels.", "sc:Integer"),
            _field("classes/name", "Name of the class.", "sc:Text"),
        ],
        "data": [
            {"classes/index": index, "classes/name": name} for index, name in enumerate(names)
        ],
    }


def _samples(path: str, classes: int) -> dict[str, Any]:
    def column(name: str) -> dict[str, Any]:
        return {"source": {"fileObject": {"@id": path}, "extract": {"column": name}}}

    image, label, soft = (f"{_SAMPLES}/{name}" for name in ("image", "label", "soft_label"))
    fields = [
        _field(image, "The image, rounded to 8 bits.", "sc:ImageObject") | column("image"),
        _field(label, "The class with the largest share.", "sc:Integer")
        | column("label")
        | {"references": {"field": {"@id": "classes/index"}}},
        _field(soft, "The share of each class.", "cr:Float32")
        | column("soft_label")
        | {"isArray": True, "arrayShape": str(classes)},
    ]
    fields[0]["source"]["transform"] = {"jsonPath": "bytes"}
    return {
        "@type": "cr:RecordSet",
        "@id": _SAMPLES,
        "name": _SAMPLES,
        "description": "The decoded training samples.",
        "field": fields,
    }


def _field(name: str, text: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": name,
        "name": name.rpartition("/")[2],
        "description": text,
        "dataType": kind,
    }
