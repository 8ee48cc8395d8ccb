"""Read a .ddset file with numpy and zstandard alone: a second, independent implementation.

    python examples/read_ddset.py digits.ddset

Everything below follows spec/ddset-1.md and imports nothing of ddcodec. It decodes to the same
bits and checks every digest; it does not refuse everything that a strict reader must refuse.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import zstandard

DTYPES = {"uint8": "<u1", "int32": "<i4", "int64": "<i8", "float16": "<f2", "float32": "<f4"}


def read(data):
    """Return (manifest with its defaults, tensors by name) of the bytes of a file."""
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    text = header.pop("__metadata__")["ddset"]
    short, manifest = json.loads(text), fill_defaults(json.loads(text))
    if manifest["format"]["major"] != 1:
        raise SystemExit("a later format")
    if sha256(body).hexdigest()[:16] != manifest["data_digest"]:
        raise SystemExit("the stored data are damaged")
    tensors = {}
    for name, spec in sorted(manifest["tensors"].items()):
        rows, chunk = spec["shape"][0], spec.get("chunk", spec["shape"][0])
        pieces = []
        for i, start in enumerate(range(0, rows, chunk)):
            begin, end = header[f"{name}.{i}" if "chunk" in spec else name]["data_offsets"]
            pieces.append(decode(body[begin:end], spec, start, min(start + chunk, rows)))
            if "digests" in spec and sha256(pieces[-1].tobytes()).hexdigest() != spec["digests"][i]:
                raise SystemExit(f"chunk {i} of {name} is damaged")
        tensors[name] = np.concatenate(pieces)
    for digest in ("content_digest", "data_digest"):
        del short[digest]
    content = sha256(canonical(short))
    for name in sorted(tensors):
        if "chunk" not in manifest["tensors"][name]:
            content.update(sha256(tensors[name].tobytes()).digest())
    if content.hexdigest() != manifest["content_digest"]:
        raise SystemExit("manifest or tensors are damaged")
    return manifest, tensors


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def decode(raw, spec, first, after):
    """Return one stored piece, rows first to after - 1 of a tensor: uncode, then dequantise."""
    shape = [after - first, *spec["shape"][1:]]
    if spec["coder"] == "zstd":
        raw = zstandard.ZstdDecompressor().decompress(raw)
    quantiser = spec.get("quantiser")
    stored = np.frombuffer(raw, "<u1" if quantiser else DTYPES[spec["dtype"]]).reshape(shape)
    if quantiser is None:
        return stored
    along = (-1,) + (1,) * (len(shape) - 1)
    offset, scale = (np.array(quantiser[key], np.float64) for key in ("offset", "scale"))
    if len(scale) > 1:
        offset, scale = offset[first:after], scale[first:after]
    offset, scale = offset.reshape(along), scale.reshape(along)
    return (offset + scale * stored.astype(np.float64)).astype("<f4")


def fill_defaults(m):
    """Spell out what the manifest leaves out because it is the default (section 4)."""
    image, labels, patches = m["image"], m["labels"], m.get("patches", {})
    image["preprocessing"].setdefault("kind", "standardise")
    image.setdefault("colour", {1: "grey", 3: "rgb"}[image["channels"]])
    image.setdefault("width", image["height"])
    patches.setdefault("size", [image["height"], image["width"]])
    if labels.setdefault("kind", "learned") in ("learned", "fixed"):
        labels.setdefault("pooling", "cell" if labels["kind"] == "learned" else "majority")
    if labels["kind"] == "learned":
        labels.setdefault("grid", patches["grid"])
    for spec in m["tensors"].values():
        spec.setdefault("dtype", "float32")
        spec.setdefault("coder", "zstd")
    return m


def origins(length, size, count, rule, cells):
    """Return where the patches of an axis begin (section 8.1), in integers."""
    if rule == "cyclic":
        return [
            ((2 * i + 1) * length - count * size + count) // (2 * count) % length
            for i in range(count)
        ]
    if rule == "balanced":
        found = []
        for u in range(1, 2 * count, 2):
            inward = min(2 * count, u * cells) - min(2 * count, (2 * count - u) * cells)
            twice = 2 * u * length - size * (2 * count + inward) + 2 * count
            found.append(max(0, min(length - size, twice // (4 * count))))
        return found
    if count == 1:
        return [0]
    found = []
    for i in range(count):
        whole, rest = divmod(i * (length - size), count - 1)
        found.append(whole + (2 * rest > count - 1 or (2 * rest == count - 1 and whole % 2 == 1)))
    return found


def overlap(start, size, cell, cells, length):
    """Return how many pixels of [start, start + size) lie in a cell of an axis that is a ring."""
    first, after = -(-cell * length // cells), -(-(cell + 1) * length // cells)
    return sum(max(0, min(after, at + size) - max(first, at)) for at in (start, start - length))


def samples(m, tensors):
    """Yield (image float32 (C, h, w), label float32 (classes,)) in the order of the file."""
    return {"podd": patches_of, "images": images_of}[m["codec"]["name"]](m, tensors)


def images_of(m, tensors):
    p, labels = m["image"]["preprocessing"], tensors["labels"]
    if m["labels"]["kind"] == "index":
        labels = np.eye(len(m["classes"]))[labels]
    for image, label in zip(tensors["images"], labels, strict=True):
        if image.dtype == np.uint8:
            image = image / 255  # in float64
            if p["kind"] == "standardise":
                mean, std = (np.array(p[key]).reshape(-1, 1, 1) for key in ("mean", "std"))
                image = (image - mean) / std
            image = image.astype(np.float32)
        yield image, shares(label)


def shares(label):
    """Return a label divided by its sum, which is taken in the order of the classes."""
    mass = 0.0
    for value in label.astype(np.float64):
        mass += value
    return (label.astype(np.float64) / mass).astype(np.float32)


def patches_of(m, tensors):
    poster, kind = tensors["poster"], m["labels"]
    (_, height, width), (h, w), (p_x, p_y) = (
        poster.shape,
        m["patches"]["size"],
        m["patches"]["grid"],
    )
    rule, (c_x, c_y) = m["patches"]["origins"], m["order"]["grid"]
    ring = np.pad(poster, ((0, 0), (0, h - 1), (0, w - 1)), mode="wrap")
    for ix, x in enumerate(origins(width, w, p_x, rule, c_x)):
        for iy, y in enumerate(origins(height, h, p_y, rule, c_y)):
            g_x, g_y = m["order"]["grid"] if kind["kind"] == "fixed" else kind["grid"]
            total = np.zeros(len(m["classes"]))
            for cell in range(g_x * g_y):
                row, column = divmod(cell, g_x)
                across, down = overlap(x, w, column, g_x, width), overlap(y, h, row, g_y, height)
                weight = float(across * down)
                if kind["pooling"] == "cell":
                    at = ((2 * iy + 1) * g_y // (2 * p_y), (2 * ix + 1) * g_x // (2 * p_x))
                    weight = float(at == (row, column))
                if kind["kind"] == "fixed":
                    total[m["order"]["cells"][cell]] += weight
                elif weight:
                    total += weight * tensors["labels"][row, column].astype(np.float64)
            if kind["kind"] == "fixed":
                total = (total == total.max()).astype(np.float64)
            yield ring[:, y : y + h, x : x + w], shares(total)


if __name__ == "__main__":
    manifest, tensors = read(Path(sys.argv[1]).read_bytes())
    stored = tensors["poster" if "poster" in tensors else "images"]
    pixels = stored.size // manifest["image"]["channels"]
    print(f"{len(manifest['classes'])} classes, {pixels} pixels")
    for image, label in samples(manifest, tensors):
        print(image.shape, f"mean {image.mean():+.3f}", manifest["classes"][int(label.argmax())])
    patches.setdefault("origins", "linspace-half-even")
