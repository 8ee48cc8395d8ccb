"""``merge`` and ``split``: files of stored images or mosaics joined, and cut by class, exactly."""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..codecs.registry import CODECS
from ..codecs.shared.statement import provenance_of
from ..errors import UsageError
from ..format import DDSetFile, Manifest, read, read_named, write
from ..format.chunk_writer import ChunkWriter
from ..inspection.published import NAME
from ..runtime.outputs import check_output
from .joined_labels import best_of, narrowed, widened
from .writing import chunk_of, storage_of

NAME_LENGTH = 200  # characters of a text
ADVICE = "decode it with --to npz and import the data.npz of that"
Arrays = dict[str, NDArray[Any]]


def merge(paths: Sequence[Path], out: Path, *, overwrite: bool = False) -> Manifest:
    """Write one file with the samples of several, in their order, and return its manifest.

    Classes are those of the first file, then the new ones of the others: a class that is learned
    later joins, or a class gets more images. Images keep their bits; soft labels are 0 for
    classes that a file does not know. Network and optimiser are the first file's; steps are as
    many epochs as the longest recipe has.

    Raises UsageError where codec, size, preprocessing or kind of values differ, or for a codec
    that cannot be joined; InvalidFile, SourceError for a file that cannot be read; OutputError.
    """
    check_output(out, overwrite)
    if len(paths) < 2:
        raise UsageError("merge needs two files or more")
    files = [read_named(path) for path in paths]
    for path, file in zip(paths, files, strict=True):
        _check_codec(path, file.manifest)
        _check_alike(paths[0], files[0].manifest, path, file.manifest)
    manifests = [file.manifest for file in files]
    classes = tuple(dict.fromkeys(name for each in manifests for name in each.classes))
    kinds = {each.labels["kind"] for each in manifests}
    top = "top" in kinds
    if top and any(each.classes != classes for each in manifests):
        raise UsageError(
            "labels of the most probable classes alone say nothing of classes that join; encode "
            "with `labels`=logits"
        )
    shapes = {file.arrays["labels"].shape[1:] for file in files}
    if len(kinds - {"index"}) > 1 or (top and max(len(kinds), len(shapes)) > 1):
        raise UsageError("the files differ in the kind of their labels; encode them alike")
    field = _label_field(manifests)
    labels = [widened(file, classes, field["kind"], _per_row(manifests[0])) for file in files]
    arrays: Arrays = {"labels": np.concatenate(labels)}
    if top:
        arrays["label_classes"] = np.concatenate([f.arrays["label_classes"] for f in files])
    first = manifests[0]
    manifest = replace(
        first,
        classes=classes,
        tensors={},
        labels=field,
        recipe=_joined_recipe(manifests),
        source=_joined_source(manifests),
        provenance=provenance_of(_command("merge", [path.name for path in paths]), 0),
        measured=None,
        measured_networks=(),
        license=_joined_license(manifests),
        ignorable=_alike_or_nothing([_without_accuracy(each.ignorable) for each in manifests]),
    )
    return _write(out, manifest, arrays, [(file, None) for file in files])


def split(path: Path, out: Path, classes: Sequence[str], *, overwrite: bool = False) -> Manifest:
    """Write the samples of some classes of a file, in their order, and return its manifest.

    The classes keep their order in the file. A sample belongs to the class of its largest share;
    what a soft label gives to the others is left out.

    Raises UsageError for a class that the file has not, or one without a sample, or for a codec
    that cannot be cut; InvalidFile, SourceError for a file that cannot be read; OutputError.
    """
    check_output(out, overwrite)
    file = read(path)
    manifest = file.manifest
    _check_codec(path, manifest)
    labels = file.arrays["labels"]
    if manifest.labels["kind"] == "top":
        raise UsageError(
            f"{path}: its labels list the most probable classes alone, and cannot do without some "
            f"of them; {ADVICE}"
        )
    odd = [name for name in classes if name not in manifest.classes]
    if odd or not classes:
        what = f"'{odd[0]}' is no class of it" if odd else "no class is named"
        raise UsageError(f"{path}: {what}; it has {_listed(manifest.classes)}")
    kept = tuple(name for name in manifest.classes if name in classes)
    numbers = np.array([manifest.classes.index(name) for name in kept])
    best = best_of(labels)
    for name, number in zip(kept, numbers.tolist(), strict=True):
        if number not in best:
            raise UsageError(f"{path}: no sample is of the class '{name}' above all")
    rows = np.flatnonzero(np.isin(best, numbers))
    cut = replace(
        manifest,
        classes=kept,
        tensors={},
        recipe=_fitted(manifest.recipe, [(manifest.recipe, _samples(manifest))],
                       _samples(manifest) * len(rows) // len(labels)),
        provenance=provenance_of(_command("split", [path.name, "--classes", *kept]), 0),
        measured=None,
        measured_networks=(),
        ignorable=_without_accuracy(manifest.ignorable),
    )  # fmt: skip
    return _write(out, cut, {"labels": narrowed(labels[rows], numbers)}, [(file, rows)])


def _check_codec(path: Path, manifest: Manifest) -> None:
    codec = CODECS[manifest.codec["name"]]
    if codec.chunks(manifest) is None:
        raise UsageError(
            f"{path}: a file of the codec {codec.name} cannot be joined or cut: "
            f"{codec.inseparable}; {ADVICE}"
        )
    if manifest.labels["kind"] == "teacher":
        raise UsageError(f"{path}: its labels come from a network for these classes; {ADVICE}")


def _check_alike(first: Path, ours: Manifest, path: Path, theirs: Manifest) -> None:
    """Raise UsageError, naming what differs, unless two files can be one."""
    for what, a, b in (
        ("codec", ours.codec["name"], theirs.codec["name"]),
        ("cells", ours.codec["params"], theirs.codec["params"]),
        ("size of images", _size(ours), _size(theirs)),
        ("preprocessing", ours.image["preprocessing"], theirs.image["preprocessing"]),
        ("values", ours.tensors["images"].dtype, theirs.tensors["images"].dtype),
    ):
        if a != b:
            raise UsageError(f"{path}: its {what} {_short(b)}, that of {first} {_short(a)}")


def _size(manifest: Manifest) -> str:
    return "x".join(str(manifest.image[name]) for name in ("channels", "height", "width"))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:8], *(["..."] if len(names) > 8 else [])])


def _label_field(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """Return that of the first file with soft labels, into which others fit, if there is one."""
    fields = [each.labels for each in manifests]
    return next((field for field in fields if field["kind"] != "index"), fields[0])


def _samples(manifest: Manifest) -> int:
    """Return how many training images a file has."""
    return int(manifest.tensors["images"].shape[0]) * _per_row(manifest)


def _per_row(manifest: Manifest) -> int:
    """Return the training images of a stored one."""
    decoder = CODECS[manifest.codec["name"]].chunks(manifest)
    assert decoder is not None  # see ``_check_codec``
    return decoder.per_row


def _joined_recipe(manifests: Sequence[Manifest]) -> dict[str, Any]:
    parts = [(each.recipe, _samples(each)) for each in manifests]
    return _fitted(manifests[0].recipe, parts, sum(count for _, count in parts))


def _fitted(
    recipe: Mapping[str, Any], parts: Sequence[tuple[Mapping[str, Any], int]], count: int
) -> dict[str, Any]:
    """Return a recipe for ``count`` samples: as many epochs as the longest of ``parts`` has."""
    batch = max(part["batch_size"] for part, _ in parts)
    epochs = max(part["steps"] * min(part["batch_size"], n) / n for part, n in parts)
    steps = max(1, math.ceil(round(epochs * count / min(batch, count), 6)))
    return {**recipe, "batch_size": batch, "steps": steps}


def _joined_source(manifests: Sequence[Manifest]) -> dict[str, Any]:
    sources = [each.source for each in manifests]
    if all(each == sources[0] for each in sources):
        return sources[0]
    names = " + ".join(dict.fromkeys(str(each["name"]) for each in sources))
    digest = hashlib.sha256("".join(each["digest"] for each in sources).encode()).hexdigest()
    return {
        "name": names[:NAME_LENGTH],
        "split": "train",
        "count": sum(each["count"] for each in sources),
        "digest": digest[:32],
    }


def _joined_license(manifests: Sequence[Manifest]) -> str | None:
    known = list(dict.fromkeys(each.license for each in manifests))
    if None in known:
        return None  # what one file does not say holds for the whole
    text = " AND ".join(map(str, known))
    return text if len(text) <= NAME_LENGTH else None


def _without_accuracy(ignorable: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``ignorable`` without the accuracy that authors stated of the whole set."""
    found = dict(ignorable)
    if isinstance(found.get(NAME), Mapping):
        found[NAME] = {key: value for key, value in found[NAME].items() if key != "stated"}
        if not found[NAME]:
            del found[NAME]
    return found


def _alike_or_nothing(values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return values[0] if all(each == values[0] for each in values) else {}


def _command(name: str, words: Sequence[str]) -> str:
    text = shlex.join(["ddcodec", name, *words])
    return text if len(text) <= 2000 else f"ddcodec {name}"


def _write(
    out: Path,
    manifest: Manifest,
    arrays: Arrays,
    parts: Sequence[tuple[DDSetFile, NDArray[np.int64] | None]],
) -> Manifest:
    """Write labels and the images of ``parts``, some rows or all, with the bits they have.

    Quantised ones keep their symbols, with a scale for each image where files differ in it.
    """
    images = np.concatenate([_rows(file.arrays["images"], rows) for file, rows in parts])
    specs = [file.manifest.tensors["images"].quantiser for file, _ in parts]
    if any(spec is None for spec in specs):
        arrays = {**arrays, "images": images}
        return write(out, manifest, arrays, storage_of(manifest, arrays))
    each = [_by_row(file, rows) for file, rows in parts]
    offset, scale = (np.concatenate([part[i] for part in each]) for i in (0, 1))
    bits = max(spec["bits"] for spec in specs if spec is not None)
    columns = (-1, *[1] * (images.ndim - 1))
    levels = (images.astype(np.float64) - offset.reshape(columns)) / scale.reshape(columns)
    symbols = np.rint(levels).astype(np.uint8)
    if len({*zip(offset.tolist(), scale.tolist(), strict=True)}) == 1:
        offset, scale = offset[:1], scale[:1]
    quantiser = {
        "kind": "uniform",
        "bits": bits,
        "offset": offset.tolist(),
        "scale": scale.tolist(),
    }
    step = chunk_of(images, False) or len(images)
    with ChunkWriter(out, level=19) as writer:
        writer.tensor("images", step, quantiser)
        writer.tensor("labels", step)
        for start in range(0, len(images), step):
            writer.add("images", symbols[start : start + step])
            writer.add("labels", np.ascontiguousarray(arrays["labels"][start : start + step]))
        return writer.finish(manifest)


def _rows(x: NDArray[Any], rows: NDArray[np.int64] | None) -> NDArray[Any]:
    return x if rows is None else x[rows]


def _by_row(
    file: DDSetFile, rows: NDArray[np.int64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return offset and scale of each image of a file, float64 (n,)."""
    spec, count = file.manifest.tensors["images"].quantiser, len(file.arrays["images"])
    assert spec is not None
    wide = (np.broadcast_to(np.array(spec[key], np.float64), count) for key in ("offset", "scale"))
    offset, scale = (_rows(x, rows) for x in wide)
    return offset, scale
