"""Read a .ddset file with numpy and zstandard alone: a second, independent implementation.

Only images in lossy pictures (WebP, AVIF) need Pillow as well.

    python examples/read_ddset.py digits.ddset

Everything below follows spec/ddset-1.md and imports nothing of ddcodec. It decodes to the same
bits and checks every digest; it does not refuse everything that a strict reader must refuse.
"""

import io
import itertools
import json
import sys
from hashlib import sha256
from math import comb
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
            lossy = spec["coder"] in ("webp", "avif")
            digested = body[begin:end] if lossy else pieces[-1].tobytes()
            if "digests" in spec and sha256(digested).hexdigest() != spec["digests"][i]:
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
    quantiser = spec.get("quantiser")
    if spec["coder"] in ("webp", "avif"):
        return picture(raw, shape, spec["coder"])
    if spec["coder"] == "zstd":
        raw = zstandard.ZstdDecompressor().decompress(raw)
    if spec["coder"] == "context":
        raw = uncode(raw, shape, quantiser["bits"] if quantiser else 8)
    stored = np.frombuffer(raw, "<u1" if quantiser else DTYPES[spec["dtype"]]).reshape(shape)
    return stored if quantiser is None else dequantise(stored, quantiser, first)


def picture(raw, shape, coder):
    """Return images that are stored in one lossy picture, with Pillow (section 5.2)."""
    try:
        from PIL import Image
    except ImportError:
        raise SystemExit(f"images are stored as {coder}; install Pillow to read them") from None
    n, channels, height, width = shape
    columns = min(next(c for c in range(1, n + 1) if c * c >= n), 16383 // width)
    rows = -(-n // columns)
    with Image.open(io.BytesIO(raw), formats=[coder.upper()]) as found:
        if found.size != (columns * width, rows * height) or found.mode != "RGB":
            raise SystemExit(f"the {coder} picture is not one of these images")
        pixels = np.asarray(found).reshape(rows, height, columns, width, 3)
    images = pixels.transpose(0, 2, 4, 1, 3).reshape(-1, 3, height, width)[:n]
    return images if channels == 3 else images[:, 1:2]


def dequantise(stored, quantiser, first):
    """Return float32 values of symbols; ``first`` is the row of the tensor that they begin at."""
    if quantiser["kind"] == "square":
        return (quantiser["scale"] * stored.astype(np.float64) ** 2).astype("<f4")
    offset, scale = (np.array(quantiser[key], np.float64) for key in ("offset", "scale"))
    if len(scale) > 1:
        along = (-1,) + (1,) * (stored.ndim - 1)
        offset, scale = (v[first : first + len(stored)].reshape(along) for v in (offset, scale))
    return (offset + scale * stored.astype(np.float64)).astype("<f4")


class Arithmetic:
    """The range decoder of section 5.1."""

    def __init__(self, code):
        self.code, self.at, self.range = code, 4, 2**32 - 1
        self.value = int.from_bytes(code[:4].ljust(4, b"\0"), "big")

    def symbol(self, edges):
        """Return the symbol i whose interval, edges(i) up to edges(i + 1), comes next."""
        cumulative, symbols = edges
        share = self.range // cumulative(symbols)
        target = min(self.value // share, cumulative(symbols) - 1)
        low, high = 0, symbols
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if cumulative(middle) <= target else (low, middle)
        self.value -= cumulative(low) * share
        self.range = (cumulative(low + 1) - cumulative(low)) * share
        while self.range < 2**24:
            byte = self.code[self.at] if self.at < len(self.code) else 0
            self.value, self.range = self.value * 256 % 2**32 + byte, self.range * 256
            self.at += 1
        return low


def uncode(code, shape, bits):
    """Return the symbols of a piece of the coder ``context`` as bytes."""
    if code[0] == 0:
        return bytes(counted(Arithmetic(code[1:]), int(np.prod(shape)), bits))
    if code[0] == 2:
        return frequencies(Arithmetic(code[1:]), shape, 2 ** (bits - 1)).tobytes()
    channels, head = shape[-3], 8 * shape[-3]
    coder, out = Arithmetic(code[1 + head :]), b""
    for plane in range(int(np.prod(shape[:-2]))):
        at = 1 + plane % channels * 8
        out += predicted(coder, code[at : at + 8], shape[-2], shape[-1], bits)
    return out


def counted(coder, count, bits):
    seen = {}
    for _ in range(count):
        node = 1
        for _ in range(bits):
            node = 2 * node + decided(coder, seen, node)
        yield node - 2**bits


def decided(coder, seen, about):
    """Return the outcome, 0 or 1, of the next decision about something, and count it."""
    zeros, ones = seen.setdefault(about, [2, 2])
    bit = coder.symbol((lambda i: (0, zeros, zeros + ones)[i], 2))
    seen[about][bit] += 5
    if sum(seen[about]) > 4096:
        seen[about] = [(n + 1) // 2 for n in seen[about]]
    return bit


def frequencies(coder, shape, centre):
    """Return the symbols of blocks of coefficients, uint8 (C, rows, columns, 8, 8)."""
    out, seen = np.full(shape, centre, np.uint8), {}
    order = sorted(itertools.product(range(8), range(8)), key=lambda at: (sum(at), at))
    for row, column in itertools.product(range(shape[1]), range(shape[2])):
        for (u, v), channel in itertools.product(order, range(shape[0])):
            if decided(coder, seen, min(u + v, 9)):
                negative = coder.symbol((lambda i: i, 2))
                size = 1
                while decided(coder, seen, (min(size, 6), min(u + v, 5))):
                    size += 1
                out[channel, row, column, u, v] = centre + (-size if negative else size)
    return out


NORMAL = [
    (2 * sum(comb(1024, j) for j in range(384 + i)) + comb(1024, 384 + i)) * 2**16 >> 1025
    for i in range(257)
]
RECIPROCALS = 67108864, 61538217, 56430137, 51746066, 47450737, 43512005, 39900230, 36588253


def predicted(coder, head, height, width, bits):
    mean, spread, *weights = np.frombuffer(head, np.uint8).astype(int).tolist()
    weights = [w - 256 if w > 127 else w for w in weights]
    factor = RECIPROCALS[spread % 8] >> spread // 8
    x, least, most = np.zeros((height + 2, width + 3), int), -64 * 2**bits, 64 * 2**bits

    def edges(guess):
        def cumulative(symbol):
            if symbol in (0, 2**bits):
                return 0 if symbol == 0 else 2**16 + 2**bits
            t = ((64 * (symbol - mean) - 32 - guess) * factor >> 16) + 32768
            step, part = divmod(max(0, min(65535, t)), 256)
            return symbol + ((NORMAL[step] * (256 - part) + NORMAL[step + 1] * part) >> 8)

        return cumulative, 2**bits

    for i in range(2, height + 2):
        for j in range(2, width + 2):
            near = (
                x[i, j - 1],
                x[i - 1, j],
                x[i - 1, j - 1],
                x[i - 1, j + 1],
                x[i, j - 2],
                x[i - 2, j],
            )
            guess = int(sum(w * n for w, n in zip(weights, near, strict=True)))
            x[i, j] = coder.symbol(edges(max(least, min(most, guess)))) - mean
    return (x[2:, 2:-1] + mean).astype(np.uint8).tobytes()


def fill_defaults(m):
    """Spell out what the manifest leaves out because it is the default (section 4)."""
    image, labels, patches = m["image"], m["labels"], m.get("patches", {})
    image["preprocessing"].setdefault("kind", "standardise")
    image.setdefault("colour", {1: "grey", 3: "rgb"}[image["channels"]])
    image.setdefault("width", image["height"])
    patches.setdefault("size", [image["height"], image["width"]])
    patches.setdefault("origins", "linspace-half-even")
    if labels.setdefault("kind", "learned") in ("learned", "fixed"):
        labels.setdefault("pooling", "cell" if labels["kind"] == "learned" else "majority")
    if labels["kind"] == "learned":
        labels.setdefault("grid", patches["grid"])
    for name, spec in m["tensors"].items():
        spec.setdefault("dtype", "float32")
        spec.setdefault("coder", "context" if "quantiser" in spec else "zstd")
        spec.get("quantiser", {}).setdefault("kind", "square" if name == "labels" else "uniform")
        spec.get("quantiser", {}).setdefault("bits", 8)
    entries = m["measured"] if isinstance(m.get("measured"), list) else []
    for before, entry in itertools.pairwise(entries):
        for field in ("lr", "norm", "nets", "optimizer", "steps", "tool"):
            if field in before:
                entry.setdefault(field, before[field])
    return m


def origins(length, size, count, rule, cells):
    """Return where the patches of an axis begin (section 8.1), in integers."""
    if rule == "per-class":
        found = []
        for cell in range(cells):
            first, after = -(-cell * length // cells), -(-(cell + 1) * length // cells)
            inside = origins(after - first, size, count // cells, "linspace-half-even", 1)
            found += [first + place for place in inside]
        return found
    if count == 1:
        return [0]
    found = []
    for i in range(count):
        whole, rest = divmod(i * (length - size), count - 1)
        found.append(whole + (2 * rest > count - 1 or (2 * rest == count - 1 and whole % 2 == 1)))
    return found


def overlap(start, size, cell, cells, length):
    """Return how many pixels of [start, start + size) lie in a cell of an axis."""
    first, after = -(-cell * length // cells), -(-(cell + 1) * length // cells)
    return max(0, min(after, start + size) - max(first, start))


def samples(m, tensors):
    """Yield (image float32 (C, h, w), label float32 (classes,)) in the order of the file."""
    by_codec = {
        "podd": patches_of,
        "ppodd": stages_of,
        "images": images_of,
        "lic": regions_of,
        "d3m": generated,
    }
    return by_codec[m["codec"]["name"]](m, tensors)


def stages_of(m, tensors):
    differences = m["codec"]["params"].get("differences", [])
    stage = {}
    for number in range(1, len(m["codec"]["params"]["weights"]) + 1):
        before, stage = stage, {}
        for kind in ("poster", "labels"):
            name = f"{kind}_{number}"
            if name in tensors:
                stage[kind] = tensors[name]
            if name in differences:
                total = before[kind].astype(np.float64) + tensors[name].astype(np.float64)
                stage[kind] = total.astype(np.float32)
                if kind == "labels":
                    stage[kind] = np.maximum(stage[kind], 0)
        yield from patches_of(m, stage)


def images_of(m, tensors):
    labels = tensors["labels"]
    if m["labels"]["kind"] == "index":
        labels = np.eye(len(m["classes"]))[labels]
    for image, label in zip(tensors["images"], labels, strict=True):
        if image.dtype == np.uint8:
            image = preprocess(image, m["image"]["preprocessing"])
        yield image, shares(label)


def preprocess(image, p):
    """Return what networks see of a real image, uint8 (C, H, W): float32 (section 6)."""
    if p["kind"] == "conv_whiten":
        return whiten(image, p)
    image = image / 255  # in float64
    if p["kind"] == "standardise":
        mean, std = (np.array(p[key]).reshape(-1, 1, 1) for key in ("mean", "std"))
        image = (image - mean) / std
    return image.astype(np.float32)


def whiten(image, p):
    count, (channels, height, width) = image.size, image.shape
    centred = np.rint(16.0 * image - (16 * int(image.sum())) / count)
    contrast = np.sqrt(np.sum(centred**2) / count) or 1.0
    k, z = p["size"], np.zeros(image.shape)
    padded = np.pad(centred, ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    kernel = np.array(p["kernel"], np.float64).reshape(channels, channels, k, k)
    for a, b, y, x in np.ndindex(kernel.shape):
        z[a] += kernel[a, b, y, x] * padded[b, y : y + height, x : x + width]
    return (z * p["gain"] / contrast).astype(np.float32)


FRACTIONS = (
    *(1099511627776, 1052895941925, 1008256608221, 965509835819, 924575386327, 885376423200),
    *(847839367509, 811893759832, 777472127994, 744509860419, 712945084849, 682718552210),
    *(653773525390, 626055672747, 599512966123, 574095583180),
)
WEIGHTS = np.array([FRACTIONS[q % 16] / 2 ** (40 + q // 16) for q in range(255)] + [0.0])


MANTISSAS = (
    *(1099511627776, 1164891991448, 1234160073853, 1307547050779, 1385297844439, 1467671940879),
    *(1554944255988, 1647406053005, 1745365914583, 1849150772653, 1959106999532, 2075601563905),
)
# Of a coded row: the exponent of its factor, and the unit of its shift.
ENDS = {"C": (-60, 2.0), "S": (-60, 1.0), "L": (-70, 2.0**-10)}


def regions_of(m, tensors):
    """Yield every cell of every mosaic at full size, then the mosaic itself (section 8.3)."""
    (across, down), n = m["codec"]["params"]["cells"], len(m["classes"])
    _, _, height, width = tensors["images"].shape
    regions = across * down + (across * down > 1)
    for i, mosaic in enumerate(tensors["images"]):
        for region in range(regions):
            image = mosaic
            if region < across * down:
                row, column = divmod(region, across)
                y, x = cell_edges(height, down, row), cell_edges(width, across, column)
                image = enlarge(mosaic[:, y[0] : y[1], x[0] : x[1]], height, width)
            seen = preprocess(image, m["image"]["preprocessing"])
            if m["labels"]["kind"] == "index":
                label = np.eye(n)[tensors["labels"][i]]
            elif m["labels"]["kind"] == "teacher":
                label = WEIGHTS[taught(seen, m, tensors)]
            else:
                label = soft_label(m, tensors, i, region)
            yield seen, shares(label)


def taught(image, m, tensors):
    """Return the symbols that the network in the file gives an image (section 8.3.1)."""
    weights = tensors["label_weights"].astype(np.float64) - 128
    rows, at, row = tensors["label_affine"].astype(np.float64), 0, 0
    coded, size = m["labels"]["architecture"] == "residual", m["labels"].get("size")

    def row_of(index, end):
        if not coded:
            return rows[index : index + 1]
        (a, b), low, unit_of = rows[index], *ENDS[end]
        factor = MANTISSAS[int(a) % 12] * 2.0 ** (int(a) // 12 + low)
        return np.array([[factor, (b - 128) * abs(b - 128) * unit_of]])

    def unit(x, filters, kernel=3, stride=1, groups=1, low=0.0, high=65535.0):
        nonlocal at, row
        size = filters * (len(x) // groups * kernel**2 if kernel else x.size)
        w, at = weights[at : at + size].reshape(groups, filters // groups, -1), at + size
        z = convolve(x, w, kernel, stride) if kernel else w[0] @ x.reshape(-1)
        shape, end = (-1,) + (1,) * (z.ndim - 1), "S" if low else "C" if kernel else "L"
        own = np.concatenate([row_of(row + i, end) for i in range(filters)])
        a, b = (own[:, k].reshape(shape) for k in (0, 1))
        row += filters
        return z * a + b if kernel == 0 else np.clip(np.rint(z * a + b), low, high)

    def signed(x, filters, **settings):
        return unit(x, filters, low=-32768.0, high=32767.0, **settings)

    def passed_on(x):
        nonlocal row
        row += 1
        ((a, b),) = row_of(row - 1, "S")
        return np.clip(np.rint(x * a + b), -32768, 32767)

    def block(x, filters, stride):
        y = signed(unit(x, filters, stride=stride), filters)
        same = len(x) == filters and stride == 1
        x = y + (passed_on(x) if same else signed(x, filters, kernel=1, stride=stride))
        return np.clip(x, 0, 65535)

    def pool(x):
        height, width = x.shape[1] // 2, x.shape[2] // 2
        x = x[:, : 2 * height, : 2 * width]
        return x.reshape(len(x), height, 2, width, 2).sum((2, 4))

    name, x = m["labels"]["architecture"], image.astype(np.float64) * m["labels"]["scale"]
    x, small = np.clip(np.rint(x), -32768, 32767), max(image.shape[1:]) <= 64
    if name.startswith("convnet"):
        for _ in range(int(name[-1])):
            x = unit(x, 128)
            if min(x.shape[1:]) >= 2:
                x = pool(x)
    elif name == "residual":
        side = min(x.shape[1:])
        one, two, three = max(1, (size + 2) // 4), max(1, (3 * size + 4) // 8), (size + 1) // 2
        x = unit(x, one, stride=2 if side >= 32 else 1)
        for _ in range(max(0, (side // 32).bit_length() - 1)):
            x = pool(x)
        for filters, stride in ((one, 1), (two, 2), (three, 2)):
            x = block(x, filters, stride)
    elif name == "resnet18":
        x = unit(x, 64) if small else largest(unit(x, 64, kernel=7, stride=2))
        for filters, steps in ((64, (1, 1)), (128, (2, 1)), (256, (2, 1)), (512, (2, 1))):
            for stride in steps:
                x = block(x, filters, stride)
    else:
        x = unit(x, 32, stride=1 if small else 2)
        stages = ((1, 16, 1, 1), (6, 24, 2, 1 if small else 2), (6, 32, 3, 2), (6, 64, 4, 2))
        for expansion, filters, repeats, first in (
            *stages, (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
        ):  # fmt: skip
            for stride in (first, *[1] * (repeats - 1)):
                hidden = len(x) * expansion
                y = unit(x, hidden, kernel=1) if expansion > 1 else x
                y = signed(unit(y, hidden, stride=stride, groups=hidden), filters, kernel=1)
                same = len(x) == filters and stride == 1
                x = np.clip(y + passed_on(x), -32768, 32767) if same else y
        x = unit(x, 1280, kernel=1)
    if not name.startswith("convnet"):
        x = x.sum((1, 2))
    logits = unit(x, len(m["classes"]), kernel=0)
    octaves = (logits.max() - logits) * (16 / (m["labels"]["temperature"] * 0.6931471805599453))
    return np.minimum(np.rint(octaves), 254).astype(int)


def convolve(x, weights, kernel, stride):
    """Return exact sums (filters, h, w) of weights (groups, filters of one, values)."""
    groups, each, _ = weights.shape
    padded = np.pad(x, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 3, 4, 1, 2)
    height, width = windows.shape[3:]
    sums = weights @ windows.reshape(groups, -1, height * width)
    return sums.reshape(groups * each, height, width)


def largest(x):
    """Return the largest of 3x3 at every second place; integers here are 0 or more."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return windows[:, ::2, ::2].max((3, 4))


def soft_label(m, tensors, i, region):
    n, label = len(m["classes"]), WEIGHTS[tensors["labels"][i, region]]
    if m["labels"]["kind"] == "top":
        planes, listed, rest = tensors["label_classes"][i, region], label[:-1], label[-1]
        label = np.full(n, rest / (n - len(listed)))
        label[sum(p.astype(int) << 8 * b for b, p in enumerate(planes))] = listed
    return label


def generated(m, tensors):
    """Say which model makes the images of a d3m file (section 8.5): none of them is stored."""
    model = m["external"][0]
    raise SystemExit(
        f"the images are made by the diffusion model {model['name']!a}, revision "
        f"{model['revision']!a}, {model['bytes']:,} bytes, which is not in the file"
    )
    yield


def generated_labels(m, tensors):
    """Yield the soft labels of a d3m file in the order of its samples; they need no model."""
    n, params = len(m["classes"]), m["codec"]["params"]
    if m["labels"]["kind"] == "class":
        variations, each = tensors["seeds"].shape[0], params["images"] * params["take"] ** 2
        yield from np.tile(np.repeat(np.eye(n, dtype=np.float32), each, 0), (variations, 1))
        return
    for i, regions in enumerate(tensors["labels"]):
        for region in range(len(regions)):
            yield shares(soft_label(m, tensors, i, region))


def cell_edges(length, cells, cell):
    return -(-cell * length // cells), -(-(cell + 1) * length // cells)


def enlarge(cell, height, width):
    x = taps(cell.shape[1], height) @ cell.astype(np.int64) @ taps(cell.shape[2], width).T
    return ((2 * x + 4 * height * width) // (8 * height * width)).astype(np.uint8)


def taps(source, target):
    """Return the integer weights of ``source`` pixels in ``target`` ones: 2 target in each row."""
    matrix = np.zeros((target, source), np.int64)
    for i in range(target):
        k, f = divmod((2 * i + 1) * source - target, 2 * target)
        matrix[i, max(k, 0)] += 2 * target - f
        matrix[i, min(k + 1, source - 1)] += f
    return matrix


def expanded(poster, params):
    """Return the poster that patches are cut from, which may be larger than it is stored (8.1)."""
    if "transform" in params:
        return synthesised(poster, params["transform"])
    if "expanded" not in params:
        return poster
    height, width = params["expanded"]
    across = stretched(poster.astype(np.float64), width).transpose(0, 2, 1)
    both = stretched(across, height).transpose(0, 2, 1)
    return (both / (4 * height * width)).astype(np.float32)


def synthesised(symbols, transform):
    """Return a poster of coefficients of 8 x 8 waves (8.1): sums are whole numbers, exact."""
    height, width = transform["size"]
    table = [1448, 2009, 1892, 1703, 1448, 1138, 784, 400, 0]
    table += [-table[16 - k] for k in range(9, 17)]
    table += [table[32 - k] for k in range(17, 32)]  # by sixteenths of half a turn
    waves = np.array([[table[(2 * y + 1) * u % 32] for y in range(8)] for u in range(8)])
    blocks = waves.T @ (symbols.astype(np.int64) - 128) @ waves
    channels, rows, columns = symbols.shape[:3]
    sums = blocks.swapaxes(2, 3).reshape(channels, 8 * rows, 8 * columns)[:, :height, :width]
    if channels != 3:
        return (transform["step"] * sums / 2**24).astype(np.float32)
    norms = 0.5773502691896258, 0.7071067811865476, 0.4082482904638631
    a, b, c = (transform["step"] * norm * plane for norm, plane in zip(norms, sums, strict=True))
    return (np.stack([a + b + c, a - 2 * c, a - b + c]) / 2**24).astype(np.float32)


def stretched(x, target):
    """Return the last axis of float64 values at ``target`` pixels, times 2 target."""
    source = x.shape[-1]
    k, f = np.divmod((2 * np.arange(target) + 1) * source - target, 2 * target)
    # Products and a sum, each rounded: a product of matrices might fuse them.
    return x[..., np.maximum(k, 0)] * (2 * target - f) + x[..., np.minimum(k + 1, source - 1)] * f


def shares(label):
    """Return a label divided by its sum, which is taken in the order of the classes."""
    mass = 0.0
    for value in label.astype(np.float64):
        mass += value
    return (label.astype(np.float64) / mass).astype(np.float32)


def patches_of(m, tensors):
    poster, kind = expanded(tensors["poster"], m["codec"].get("params", {})), m["labels"]
    (_, height, width), (h, w), (p_x, p_y) = (
        poster.shape,
        m["patches"]["size"],
        m["patches"]["grid"],
    )
    rule, (c_x, c_y) = m["patches"]["origins"], m["order"]["grid"]
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
            yield poster[:, y : y + h, x : x + w], shares(total)


if __name__ == "__main__":
    manifest, tensors = read(Path(sys.argv[1]).read_bytes())
    stored = [tensors[name] for name in tensors if name.startswith(("poster", "images"))]
    pixels = sum(tensor.size for tensor in stored) // manifest["image"]["channels"]
    if transform := manifest["codec"].get("params", {}).get("transform"):
        pixels = transform["size"][0] * transform["size"][1]
    print(f"{len(manifest['classes'])} classes, {pixels} pixels")
    for name in () if stored else tensors:
        print(f"{name}: {tensors[name].dtype} {tensors[name].shape}")
    for image, label in samples(manifest, tensors):
        print(image.shape, f"mean {image.mean():+.3f}", manifest["classes"][int(label.argmax())])
