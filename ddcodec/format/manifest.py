"""The manifest: everything a file says about itself, typed and in canonical JSON."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import InvalidFile, LimitExceeded, Unsupported
from ..limits import Limits
from . import defaults, strict_json
from .strict_json import shown

MAJOR, MINOR = 1, 0
CODECS = ("podd", "images")
DTYPES = {"uint8": 1, "int32": 4, "int64": 8, "float16": 2, "float32": 4}
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

_KINDS: dict[Any, str] = {dict: "an object", list: "a list", str: "a string"}
# field -> (required, JSON type)
_FIELDS: dict[str, tuple[bool, type]] = {
    "format": (True, dict),
    "codec": (True, dict),
    "classes": (True, list),
    "image": (True, dict),
    "tensors": (True, dict),
    "labels": (True, dict),
    "order": (False, dict),
    "patches": (False, dict),
    "recipe": (True, dict),
    "source": (True, dict),
    "provenance": (True, dict),
    "measured": (False, dict),
    "external": (False, list),
    "license": (False, str),
    "ignorable": (False, dict),
    "content_digest": (True, str),
    "data_digest": (True, str),
}


@dataclass(frozen=True)
class TensorSpec:
    """What one logical tensor decodes to, and how it is stored.

    Attributes:
        dtype, shape: of the decoded array.
        quantiser: None, or {kind: uniform, bits, offset: [..], scale: [..]}.
        coder: raw or zstd.
        chunk: rows of axis 0 in a chunk; None stores the tensor in one piece.
        digests: SHA-256 in hex of the decoded bytes (little-endian, C order) of every chunk, so
            that chunks can be checked one by one; None for a tensor in one piece.
    """

    dtype: str
    shape: tuple[int, ...]
    quantiser: dict[str, Any] | None
    coder: str
    chunk: int | None = None
    digests: tuple[str, ...] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object; absent fields are left out."""
        out: dict[str, Any] = {
            "coder": self.coder,
            "dtype": self.dtype,
            "shape": list(self.shape),
        }
        if self.quantiser is not None:
            out["quantiser"] = self.quantiser
        if self.chunk is not None:
            out["chunk"] = self.chunk
        if self.digests is not None:
            out["digests"] = list(self.digests)
        return out


@dataclass(frozen=True)
class Manifest:
    """The typed manifest; see the specification for every field. Dictionaries hold plain JSON."""

    codec: dict[str, Any]
    classes: tuple[str, ...]
    image: dict[str, Any]
    tensors: dict[str, TensorSpec]
    labels: dict[str, Any]
    recipe: dict[str, Any]
    source: dict[str, Any]
    provenance: dict[str, Any]
    order: dict[str, Any] | None = None
    patches: dict[str, Any] | None = None
    measured: dict[str, Any] | None = None
    external: tuple[dict[str, Any], ...] = ()
    license: str | None = None
    ignorable: dict[str, Any] = field(default_factory=dict)
    content_digest: str = ""
    data_digest: str = ""
    minor: int = MINOR

    def as_json(self) -> dict[str, Any]:
        """Return the manifest as plain JSON values; empty optional fields are left out."""
        out: dict[str, Any] = {
            "format": {"major": MAJOR, "minor": self.minor},
            "codec": self.codec,
            "classes": list(self.classes),
            "image": self.image,
            "tensors": {name: spec.as_json() for name, spec in self.tensors.items()},
            "labels": self.labels,
            "recipe": self.recipe,
            "source": self.source,
            "provenance": self.provenance,
            "content_digest": self.content_digest,
            "data_digest": self.data_digest,
        }
        optional = {
            "order": self.order,
            "patches": self.patches,
            "measured": self.measured,
            "external": list(self.external),
            "license": self.license,
            "ignorable": self.ignorable,
        }
        return out | {name: value for name, value in optional.items() if value}

    def to_json(self) -> str:
        """Return the canonical text: fields that equal their defaults are left out."""
        return strict_json.dumps(defaults.strip(self.as_json()))

    def content(self, digests: Mapping[str, bytes]) -> str:
        """Return the content digest: what the file says and holds, however it is coded.

        SHA-256 over the canonical text without the two digests, followed by the SHA-256 (32
        bytes) of each decoded tensor in ``digests``, in the order of the names.
        """
        body = defaults.strip(self.as_json())
        del body["content_digest"], body["data_digest"]
        h = hashlib.sha256(strict_json.dumps(body).encode("utf-8"))
        for name in sorted(digests):
            h.update(digests[name])
        return h.hexdigest()

    def with_digests(self, content: str, data: str) -> Manifest:
        """Return the manifest with its digests filled in."""
        return replace(self, content_digest=content, data_digest=data)

    @classmethod
    def from_json(cls, value: Any, limits: Limits) -> Manifest:
        """Check and type a parsed manifest.

        Raises Unsupported for a later major version or an unknown codec, InvalidFile for anything
        that breaks a rule of this version.
        """
        if not isinstance(value, dict):
            raise InvalidFile("manifest: not a JSON object", "DDS-E010")
        minor = _check_version(value)
        with as_unsupported_if_later(minor):
            return cls._typed(value, minor, limits)

    @classmethod
    def _typed(cls, value: dict[str, Any], minor: int, limits: Limits) -> Manifest:
        _check_codec(value.get("codec"))
        value = defaults.fill(value)
        for name in value:
            if name not in _FIELDS:
                if minor > MINOR:
                    raise Unsupported(
                        f"the file has format {MAJOR}.{minor} and uses the field {shown(name)}; "
                        "update ddcodec"
                    )
                raise InvalidFile(f"manifest: unknown field {shown(name)}", "DDS-E010")
        for name, (required, kind) in _FIELDS.items():
            if name not in value:
                if required:
                    raise InvalidFile(f"manifest: field '{name}' is missing", "DDS-E010")
            elif not isinstance(value[name], kind):
                raise InvalidFile(f"manifest: field '{name}' must be {_KINDS[kind]}", "DDS-E010")
        for name, length in (("content_digest", 64), ("data_digest", 16)):
            if not is_hex(value[name], length):
                raise InvalidFile(f"manifest: {name} must be {length} hex digits", "DDS-E010")
        codec = value["codec"]
        external = value.get("external", [])
        if not all(isinstance(item, dict) for item in external):
            raise InvalidFile("manifest: external holds something else than objects", "DDS-E010")
        return cls(
            codec=codec,
            classes=_classes(value["classes"], limits),
            image=value["image"],
            tensors={n: _tensor(n, t, limits) for n, t in value["tensors"].items()},
            labels=value["labels"],
            order=value.get("order"),
            patches=value.get("patches"),
            recipe=value["recipe"],
            source=value["source"],
            provenance=value["provenance"],
            measured=value.get("measured"),
            external=tuple(external),
            license=value.get("license"),
            ignorable=value.get("ignorable", {}),
            minor=minor,
            content_digest=value["content_digest"],
            data_digest=value["data_digest"],
        )


@contextmanager
def as_unsupported_if_later(minor: int) -> Iterator[None]:
    """Turn InvalidFile into Unsupported for a file of a later minor version.

    What breaks a rule of this version may follow one of that version.
    """
    try:
        yield
    except LimitExceeded:
        raise
    except InvalidFile as error:
        if minor <= MINOR:
            raise
        raise Unsupported(
            f"the file has format {MAJOR}.{minor}, this version reads {MAJOR}.{MINOR}, where it "
            f"would be invalid ({error}); update ddcodec"
        ) from None


def _check_version(value: Mapping[str, Any]) -> int:
    version = value.get("format")
    if (
        not isinstance(version, dict)
        or set(version) != {"major", "minor"}
        or not all(_is_int(v) and v >= 0 for v in version.values())
        or version["major"] < 1
    ):
        raise InvalidFile("manifest: format must be {major, minor}", "DDS-E010")
    if version["major"] > MAJOR:
        raise Unsupported(
            f"the file has format {version['major']}.{version['minor']}, this version reads "
            f"{MAJOR}.x; update ddcodec"
        )
    # A later minor version is readable as long as all that it adds stands under 'ignorable'.
    return int(version["minor"])


def _check_codec(codec: Any) -> None:
    if (
        not isinstance(codec, dict)
        or not isinstance(codec.get("name"), str)
        or not _is_int(codec.get("version", 1))
        or codec.get("version", 1) < 1
    ):
        raise InvalidFile("manifest: codec needs a name and a version", "DDS-E010")
    if codec["name"] not in CODECS or codec.get("version", 1) > 1:
        raise Unsupported(
            f"the file needs the codec {shown(codec['name'])} version {codec.get('version', 1)}; "
            f"this version knows: {', '.join(CODECS)}; update ddcodec"
        )


def _classes(names: list[Any], limits: Limits) -> tuple[str, ...]:
    if len(names) > limits.classes:
        raise LimitExceeded(f"{len(names)} classes, the limit is {limits.classes}", "DDS-E040")
    if (
        not names
        or not all(isinstance(n, str) and n for n in names)
        or len(set(names)) < len(names)
    ):
        raise InvalidFile("manifest: classes must be distinct, non-empty names", "DDS-E011")
    return tuple(names)


def _tensor(name: str, value: Any, limits: Limits) -> TensorSpec:
    def fail(why: str, code: str = "DDS-E006") -> InvalidFile:
        return InvalidFile(f"tensor '{name}': {why}", code)

    if not NAME.fullmatch(name):
        raise InvalidFile(f"tensor name {shown(name)} is not allowed", "DDS-E008")
    if not isinstance(value, dict):
        raise fail("not an object")
    if unknown := set(value) - {"dtype", "shape", "quantiser", "coder", "chunk", "digests"}:
        raise fail(f"unknown field {shown(sorted(unknown)[0])}")
    dtype, shape = value.get("dtype"), value.get("shape")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise fail("unknown dtype")
    if not isinstance(shape, list) or not all(_is_int(s) and s > 0 for s in shape):
        raise fail("shape must be positive integers")
    if not 1 <= len(shape) <= limits.dimensions:
        raise LimitExceeded(f"tensor '{name}': {len(shape)} dimensions", "DDS-E040")
    if value.get("coder") not in ("raw", "zstd"):
        raise fail("unknown coder")
    chunk = value.get("chunk")
    if "chunk" in value and not (type(chunk) is int and 1 <= chunk <= shape[0]):
        raise fail("chunk must lie between 1 and the first dimension")
    digests = value.get("digests")
    if ("digests" in value) != ("chunk" in value):
        raise fail("chunk and digests go together")
    if digests is not None:
        assert chunk is not None
        count = -(-shape[0] // chunk)
        if not isinstance(digests, list) or len(digests) != count:
            raise fail("digests must be a list with one for each chunk")
        if not all(is_hex(digest, 64) for digest in digests):
            raise fail("digests must be 64 hex digits each")
    quantiser = value.get("quantiser")
    if "quantiser" in value:
        if dtype != "float32":
            raise fail("only float32 is quantised", "DDS-E020")
        _check_quantiser(quantiser, shape, fail)
    return TensorSpec(
        dtype,
        tuple(shape),
        quantiser,
        value["coder"],
        chunk,
        None if digests is None else tuple(digests),
    )


def _check_quantiser(value: Any, shape: list[int], fail: Any) -> None:
    code = "DDS-E020"
    if not isinstance(value, dict) or set(value) != {"kind", "bits", "offset", "scale"}:
        raise fail("quantiser must have kind, bits, offset and scale", code)
    if value["kind"] != "uniform" or not (_is_int(value["bits"]) and 1 <= value["bits"] <= 8):
        raise fail("quantiser must be uniform with 1 to 8 bits", code)
    offset, scale = value["offset"], value["scale"]
    if not all(isinstance(v, list) and len(v) in (1, shape[0]) for v in (offset, scale)):
        raise fail("offset and scale need one value, or one for each row", code)
    if len(offset) != len(scale) or not all(_is_number(v) for v in [*offset, *scale]):
        raise fail("offset and scale must be numbers", code)
    if not all(1e-30 < v < 1e30 for v in scale) or not all(abs(v) < 1e30 for v in offset):
        raise fail("scale must be positive and both of a sane size", code)


def is_hex(value: Any, length: int) -> bool:
    """Say whether a JSON value is ``length`` lower-case hex digits."""
    return isinstance(value, str) and bool(re.fullmatch(rf"[0-9a-f]{{{length}}}", value))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
