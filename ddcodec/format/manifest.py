"""The manifest: everything a file says about itself, typed and in canonical JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..errors import InvalidFile, LimitExceeded, Unsupported
from ..limits import Limits
from ..methods import known
from . import defaults, strict_json
from .measured import joined, parted
from .tensors import TensorSpec, parse_tensor
from .values import is_hex, is_integer, need, shown

MAJOR, MINOR = 1, 0

_KINDS: dict[Any, str] = {dict: "an object", list: "a list", str: "a string"}
_KINDS[dict, list] = "an object or a list"


@dataclass(frozen=True)
class Manifest:
    """The typed manifest; see the specification for every field. Dictionaries hold plain JSON.

    ``measured`` is the entry of the file's own network, ``measured_networks`` those of others.
    """

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
    measured_networks: tuple[dict[str, Any], ...] = ()
    external: tuple[dict[str, Any], ...] = ()
    license: str | None = None
    ignorable: dict[str, Any] = field(default_factory=dict)
    content_digest: str = ""
    data_digest: str = ""
    minor: int = MINOR

    def as_json(self) -> dict[str, Any]:
        """Return the manifest as plain JSON values; empty optional fields are left out."""
        out = {name: getattr(self, name) for name in _FIELDS if name != "format"} | {
            "format": {"major": MAJOR, "minor": self.minor},
            "classes": list(self.classes),
            "tensors": {name: spec.as_json() for name, spec in self.tensors.items()},
            "external": list(self.external),
            "measured": joined(self.measured, self.measured_networks),
        }
        return {name: value for name, value in out.items() if value or _FIELDS[name][0]}

    def to_json(self) -> str:
        """Return the canonical text: fields that equal their defaults are left out."""
        return strict_json.dumps(defaults.strip(self.as_json()))

    def content(self, digests: Mapping[str, bytes]) -> str:
        """Return the content digest: what the file says and holds, however it is coded.

        SHA-256 over the canonical text without the two digests, followed by the SHA-256 (32
        bytes) of each decoded tensor in ``digests`` that is stored in one piece, in the order of
        the names. The text has the digests of all chunks already.
        """
        body = defaults.strip(self.as_json())
        del body["content_digest"], body["data_digest"]
        h = hashlib.sha256(strict_json.dumps(body).encode("utf-8"))
        for name in sorted(self.in_one_piece()):
            h.update(digests[name])
        return h.hexdigest()

    def in_one_piece(self) -> list[str]:
        """Return the tensors without chunks, whose digests the content digest takes in itself."""
        return [name for name, spec in self.tensors.items() if spec.digests is None]

    def check_content(self, digests: Mapping[str, bytes]) -> None:
        """Compare the content digest, with ``digests`` as in ``content``; raises InvalidFile."""
        same = self.content(digests) == self.content_digest
        need(same, "the content digest does not match manifest and tensors", "DDS-E032")

    def sealed(self, digests: Mapping[str, bytes], data_digest: str) -> Manifest:
        """Return the manifest with both its digests, ``digests`` as in ``content``."""
        return replace(self, content_digest=self.content(digests), data_digest=data_digest)

    @classmethod
    def from_json(cls, value: Any, limits: Limits) -> Manifest:
        """Check and type a parsed manifest.

        Raises Unsupported for a later major version or an unknown codec, InvalidFile for anything
        that breaks a rule of this version.
        """
        need(isinstance(value, dict), "manifest: not a JSON object")
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
            if name in value:
                good = isinstance(value[name], kind)
                need(good, f"manifest: field '{name}' must be {_KINDS[kind]}")
            else:
                need(not required, f"manifest: field '{name}' is missing")
        for name, length in (("content_digest", 64), ("data_digest", 16)):
            need(is_hex(value[name], length), f"manifest: {name} must be {length} hex digits")
        external = value.get("external", [])
        good = all(isinstance(item, dict) for item in external)
        need(good, "manifest: external holds something else than objects")
        measured, networks = parted(value.get("measured"))
        typed = value | {
            "classes": _classes(value["classes"], limits),
            "tensors": {n: parse_tensor(n, t, limits) for n, t in value["tensors"].items()},
            "external": tuple(external),
            "measured": measured,
            "measured_networks": networks,
        }
        del typed["format"]
        return cls(**typed, minor=minor)


_APART = ("measured_networks", "minor")  # stand in other fields
_OPTIONAL = {"order", "patches", "measured", "external", "license", "ignorable"}
_NAMES = ("format", *(each.name for each in fields(Manifest) if each.name not in _APART))
_TYPES: dict[str, Any] = {"classes": list, "external": list, "license": str}  # others: objects
_TYPES |= {"content_digest": str, "data_digest": str, "measured": (dict, list)}
# field -> (required, JSON type)
_FIELDS = {name: (name not in _OPTIONAL, _TYPES.get(name, dict)) for name in _NAMES}


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
    version: Any = value.get("format")
    good = (
        isinstance(version, dict)
        and set(version) == {"major", "minor"}
        and all(is_integer(v) and v >= 0 for v in version.values())
        and version["major"] >= 1
    )
    need(good, "manifest: format must be {major, minor}")
    if version["major"] > MAJOR:
        raise Unsupported(
            f"the file has format {version['major']}.{version['minor']}, this version reads "
            f"{MAJOR}.x; update ddcodec"
        )
    # A later minor version is readable as long as all that it adds stands under 'ignorable'.
    return int(version["minor"])


def _check_codec(codec: Any) -> None:
    good = isinstance(codec, dict) and isinstance(codec.get("name"), str)
    version = codec.get("version", 1) if good else 0
    good = good and is_integer(version) and version >= 1
    need(good, "manifest: codec needs a name and a version")
    if codec["name"] not in known() or version > 1:
        raise Unsupported(
            f"the file needs the codec {shown(codec['name'])} version {version}; "
            f"this version knows: {', '.join(known())}; update ddcodec"
        )


def _classes(names: list[Any], limits: Limits) -> tuple[str, ...]:
    if len(names) > limits.classes:
        raise LimitExceeded(f"{len(names)} classes, the limit is {limits.classes}", "DDS-E040")
    good = bool(names) and all(isinstance(n, str) and n for n in names)
    good = good and len(set(names)) == len(names)
    need(good, "manifest: classes must be distinct, non-empty names", "DDS-E011")
    return tuple(names)
