"""The committed vectors: this version and the second reader must find in them what is written."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from jsonschema import Draft202012Validator

from ddcodec import load
from ddcodec.errors import Unsupported
from ddcodec.format import read
from ddcodec.format.defaults import strip
from ddcodec.inspection.verify import verify
from ddcodec.limits import Limits
from tests.helpers import vectors
from tests.helpers.codec_cases import CODEC_CASES
from tests.helpers.hostile import CASES, CODES, Forgery
from tests.helpers.second_reader import SECOND
from tests.helpers.vectors import FIRST, FOLDER, expected, refusal

VALID: dict[str, Any] = json.loads((FOLDER / "valid.json").read_text(encoding="utf-8"))
INVALID: dict[str, Any] = json.loads((FOLDER / "invalid.json").read_text(encoding="utf-8"))
SPEC = FOLDER.parent


def content(kind: str, name: str) -> bytes:
    return (FOLDER / kind / f"{name}.ddset").read_bytes()


def test_every_vector_is_listed_and_there() -> None:
    for kind, listed in (("valid", VALID), ("invalid", INVALID)):
        assert sorted(path.stem for path in (FOLDER / kind).iterdir()) == sorted(listed)


@pytest.mark.parametrize("name", VALID)
def test_a_valid_vector_holds_what_is_written(name: str) -> None:
    data = content("valid", name)
    assert expected(data) == VALID[name]
    assert verify(FOLDER / "valid" / f"{name}.ddset") == []


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_vector_is_refused_as_written(name: str) -> None:
    assert refusal(content("invalid", name)) == INVALID[name]


def test_there_is_a_vector_for_every_code() -> None:
    found = {entry["code"] for entry in INVALID.values()}
    # What a file of a few kilobytes cannot show is tested in process.
    assert CODES - found == set()
    assert len(INVALID) >= 60
    assert set(INVALID) <= set(CASES) | {name for name, _, _ in CODEC_CASES}


@pytest.mark.parametrize("name", VALID)
def test_the_official_library_lists_the_same_tensors(name: str) -> None:
    stored = safetensors.numpy.load(content("valid", name))
    assert {key.split(".")[0] for key in stored} == set(VALID[name]["tensors"])


@pytest.mark.parametrize("name", VALID)
def test_the_second_reader_finds_the_same_bits(name: str) -> None:
    data = content("valid", name)
    manifest, tensors = SECOND["read"](data)
    for key, digest in VALID[name]["tensors"].items():
        assert hashlib.sha256(tensors[key].tobytes()).hexdigest() == digest
    if VALID[name]["first_patches"] is None:  # a model makes the images
        found = list(SECOND["generated_labels"](manifest, tensors))
        assert len(found) == VALID[name]["samples"]
        assert (
            hashlib.sha256(np.stack(found[:FIRST]).tobytes()).hexdigest()
            == (VALID[name]["first_labels"])
        )
        with pytest.raises(Unsupported, match="is not in the file"):
            load(FOLDER / "valid" / f"{name}.ddset")
        return
    samples = list(SECOND["samples"](manifest, tensors))
    assert len(samples) == VALID[name]["samples"]
    patches = np.stack([image for image, _ in samples[:FIRST]])
    assert hashlib.sha256(patches.tobytes()).hexdigest() == VALID[name]["first_patches"]
    first = np.stack([label for _, label in samples[:FIRST]])
    assert hashlib.sha256(first.tobytes()).hexdigest() == VALID[name]["first_labels"]
    ds = load(FOLDER / "valid" / f"{name}.ddset")
    assert np.array_equal(ds.soft_labels.numpy(), np.stack([label for _, label in samples]))
    for (image, _), (other, _) in zip(samples, ds, strict=True):
        assert np.array_equal(image, other.numpy())


@pytest.mark.parametrize(
    "name", [n for n, e in INVALID.items() if e["code"] in ("DDS-E030", "DDS-E032")]
)
def test_the_second_reader_finds_damage(name: str) -> None:
    with pytest.raises(SystemExit, match="damaged"):
        SECOND["read"](content("invalid", name))


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return vectors.valid()


def test_the_writer_still_writes_the_committed_vectors(made: dict[str, bytes]) -> None:
    """Byte for byte where nothing is compressed; equal content where it is."""
    for name, data in made.items():
        committed = content("valid", name)
        assert read(data).manifest.content_digest == VALID[name]["content_digest"]
        # Other versions of zstd write other bytes, and fitted predictions end in other digits.
        if not re.search("zstd|context", json.dumps(VALID[name]["manifest"]["tensors"])):
            assert data == committed


def test_the_script_makes_every_vector(
    made: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "valid", lambda: made)
    shutil.copytree(SPEC / "vectors", tmp_path / "vectors")
    monkeypatch.setattr(vectors, "FOLDER", tmp_path / "vectors")
    vectors.main()
    names = {p.name for p in (tmp_path / "vectors").rglob("*.ddset")}
    assert names == {p.name for p in FOLDER.rglob("*.ddset")}


# JSON Schema takes 10.0 for an integer and cannot compare two fields.
BEYOND_SCHEMA = (
    "d3m-scheduler-with-fewer-times-than-steps",
    "float-for-an-integer",
    "scales-for-no-channel",
)


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    value = json.loads((SPEC / "manifest.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(value)
    return Draft202012Validator(value)


@pytest.mark.parametrize("name", VALID)
def test_the_schema_agrees_on_valid_manifests(name: str, schema: Draft202012Validator) -> None:
    schema.validate(Forgery.of(content("valid", name)).manifest)
    assert (
        strip(VALID[name]["manifest"]).items()
        <= Forgery.of(content("valid", name)).manifest.items()
    )


def test_the_schema_refuses_what_the_reader_refuses_for_a_field(
    schema: Draft202012Validator,
) -> None:
    refused = 0
    for name, entry in INVALID.items():
        if entry["code"] not in ("DDS-E010", "DDS-E020") or name in BEYOND_SCHEMA:
            continue
        try:
            manifest = Forgery.of(content("invalid", name)).manifest
        except ValueError:
            continue
        assert not schema.is_valid(manifest), name
        refused += 1
    assert refused >= 15


def test_the_limits_are_those_of_the_specification() -> None:
    values = asdict(Limits())
    assert values["context_symbols"] == 4_194_304
    assert (values["file_bytes"], values["header_bytes"]) == (8 << 30, 4 << 20)
    assert (values["decoded_bytes"], values["patches"]) == (4 << 30, 1_000_000)
    assert (values["tensors"], values["classes"], values["zstd_window"]) == (10**5, 10**5, 8 << 20)
