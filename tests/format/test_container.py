"""Writing and reading a file: what comes back, what is refused, and that nothing else escapes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from ddcodec.errors import DDSetError, InvalidFile, SourceError, Unsupported
from ddcodec.format import Storage, read, read_manifest, restate, to_bytes, write
from ddcodec.inspection.verify import verify
from ddcodec.limits import Limits
from tests.helpers.hostile import CASES, CODES, Forgery
from tests.helpers.small_files import STORAGE, arrays, manifest


def test_a_source_may_say_how_it_was_made_of_what_was_read() -> None:
    lossless = {name: Storage(coder="raw") for name in arrays()}
    told = {**manifest().source, "size": 32, "test_share": 0.2}
    data, _ = to_bytes(replace(manifest(), source=told), arrays(), lossless)
    assert read(data).manifest.source == told
    odd = ({"size": 0}, {"size": 4097}, {"size": 8.0}, {"test_share": 0}, {"test_share": 1.0})
    for change in (*odd, {"test_share": "0.2"}, {"path": "/etc/passwd"}):
        forged = Forgery.of(data)
        forged.manifest["source"] |= change
        with pytest.raises(InvalidFile, match="source: "):
            read(forged.build())


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.ddset"
    lossless = {name: Storage(coder="raw") for name in arrays()}
    complete = write(path, manifest(), arrays(), lossless)
    file = read(path)
    assert file.manifest == complete
    for name, array in arrays().items():
        assert np.array_equal(file.arrays[name], array)
        assert file.arrays[name].dtype == array.dtype
    assert file.sizes.total == path.stat().st_size
    assert file.sizes.total == file.sizes.header + sum(file.sizes.tensors.values())
    only, sizes = read_manifest(path)
    assert (only, sizes) == (file.manifest, file.sizes)


def test_equal_input_gives_equal_bytes() -> None:
    first, _ = to_bytes(manifest(), arrays(), STORAGE)
    reordered = dict(reversed(arrays().items()))
    assert to_bytes(manifest(), reordered, STORAGE)[0] == first


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"poster": Storage(coder="raw"), "labels": Storage(coder="raw")},
        {"poster": Storage(bits=3, coder="raw"), "labels": Storage(bits=2)},
        {"poster": Storage(bits=8), "labels": Storage(chunk=1)},
    ],
)
def test_the_official_library_opens_every_file(storage: dict[str, Storage]) -> None:
    data, complete = to_bytes(manifest(), arrays(), storage)
    opened = safetensors.numpy.load(data)
    names = {name.split(".")[0] for name in opened}
    assert names == set(complete.tensors)
    stored = sum(array.nbytes for array in opened.values())
    assert stored == sum(read(data).sizes.tensors.values())


def test_the_metadata_is_one_key_with_readable_json(tmp_path: Path, small: bytes) -> None:
    path = tmp_path / "x.ddset"
    path.write_bytes(small)
    with safetensors.safe_open(path, "numpy") as file:
        assert list(file.metadata()) == ["ddset"]
        assert '"classes":["ant","bee","zebra"]' in file.metadata()["ddset"]


def test_the_content_digest_does_not_depend_on_coding() -> None:
    digests = {
        to_bytes(manifest(), arrays(), {name: Storage(coder="raw") for name in arrays()})[
            1
        ].content_digest
    }
    # The coder is named in the manifest, so it is part of the content; its output is not.
    first = to_bytes(manifest(), arrays(), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ddcodec.format.payload.ZSTD_LEVEL", 1)
        second = to_bytes(manifest(), arrays(), {})
    assert first[1].content_digest == second[1].content_digest
    assert first[1].content_digest not in digests


def test_chunks_are_put_together_again(tmp_path: Path) -> None:
    tall = arrays()
    storage = {"poster": Storage(bits=8), "labels": Storage(bits=8, chunk=1)}
    data, complete = to_bytes(manifest(), tall, storage)
    assert complete.tensors["labels"].chunk == 1
    assert len(complete.tensors["labels"].digests or ()) == 2
    whole = to_bytes(manifest(), tall, {"poster": Storage(bits=8), "labels": Storage(bits=8)})[0]
    assert np.array_equal(read(data).arrays["labels"], read(whole).arrays["labels"])


def refused(data: bytes) -> str:
    """Read ``data``; return the code of the error, and fail on any other exception or none."""
    with pytest.raises((InvalidFile, Unsupported)) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    if isinstance(caught.value, InvalidFile):
        assert caught.value.code in CODES
        return caught.value.code
    return "unsupported"


def test_every_truncation_is_refused(small: bytes) -> None:
    for length in range(len(small)):
        refused(small[:length])


@pytest.mark.slow
def test_every_flipped_bit_is_refused(small: bytes) -> None:
    for position in range(len(small)):
        for bit in range(8):
            changed = bytearray(small)
            changed[position] ^= 1 << bit
            refused(bytes(changed))


def test_flipped_bits_need_little_time_and_memory(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.ddset"
    path.write_bytes(small)
    code = f"""
import resource, time
from ddcodec.errors import DDSetError
from ddcodec.format import read
data = open({str(path)!r}, "rb").read()
read(data)
before, worst = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
for position in range(len(data)):
    changed = bytearray(data)
    changed[position] ^= 0x81
    start = time.process_time()
    try:
        read(bytes(changed))
    except DDSetError:
        pass
    worst = max(worst, time.process_time() - start)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, worst)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kilobytes, seconds = done.stdout.split()
    assert int(kilobytes) < 50_000
    assert float(seconds) < 1


@pytest.mark.parametrize(
    "change",
    [
        lambda f: setattr(f, "text", "{" + "".join(f'"{i}":1,' for i in range(300_000)) + '"9":1}'),
        lambda f: f.manifest["patches"].update(grid=[2**53 - 1] * 200_000),
        lambda f: f.manifest.update(ignorable={"a": [[]] * 1_000_000}),
        lambda f: setattr(f, "text", "[" * 4_000_000),
    ],
)
def test_a_header_as_large_as_allowed_takes_seconds(
    forge: Callable[[], Forgery], change: Callable[[Forgery], None]
) -> None:
    """Whatever it holds: work that grew with the square of its size would not end for an hour."""
    forgery = forge()
    change(forgery)
    assert refused(forgery.build()) != "unsupported"


def test_bytes_after_the_end_are_refused(small: bytes) -> None:
    assert refused(small + b"\0") == "DDS-E007"


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused(small: bytes, name: str) -> None:
    code, make = CASES[name]
    assert refused(make(small)) == code


def test_the_forgery_itself_is_harmless(forge: Callable[[], Forgery], small: bytes) -> None:
    assert forge().build() == small


def test_a_later_minor_version_is_read_unless_it_needs_more(forge: Callable[[], Forgery]) -> None:
    later = forge()
    later.manifest["format"]["minor"] = 7
    later.manifest["ignorable"] = {"mood": "good"}
    file = read(later.build(), check=False)
    assert file.manifest.minor == 7
    later.manifest["telepathy"] = True
    with pytest.raises(Unsupported, match=r"1\.7 and uses the field 'telepathy'"):
        read(later.build())


@pytest.mark.parametrize(
    "limits",
    [
        Limits(file_bytes=100),
        Limits(header_bytes=100),
        Limits(tensors=1),
        Limits(decoded_bytes=100),
        Limits(classes=2),
        Limits(patches=7),
        Limits(dimensions=2),
        Limits(nesting=2),
    ],
)
def test_every_cap_can_be_lowered(small: bytes, tmp_path: Path, limits: Limits) -> None:
    path = tmp_path / "x.ddset"
    path.write_bytes(small)
    with pytest.raises(InvalidFile):
        read(path, limits=limits)
    assert verify(path) == []
    assert len(verify(path, limits=limits)) == 1


def test_without_check_damage_may_pass_but_rules_still_hold(forge: Callable[[], Forgery]) -> None:
    forgery = forge()
    forgery.manifest["content_digest"] = "0" * 64
    assert read(forgery.build(), check=False).manifest.content_digest == "0" * 64
    forgery.manifest["classes"] = ["a", "a", "a"]
    with pytest.raises(InvalidFile, match="distinct"):
        read(forgery.build(), check=False)


def test_findings_are_numbered_and_name_the_file(tmp_path: Path, small: bytes) -> None:
    path = tmp_path / "x.ddset"
    path.write_bytes(small[:-1])
    (finding,) = verify(path)
    assert (finding.code, finding.where) == ("DDS-E007", str(path))
    assert "cut short" in finding.message


def test_a_missing_file_and_a_folder_are_source_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.ddset", tmp_path):
        with pytest.raises(SourceError, match=str(path)):
            read(path)


def mutations(data: bytes, draw: st.DrawFn) -> bytes:
    """Change a valid file as an attacker would: bytes, spans, numbers in the header."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["byte", "cut", "copy", "digit", "length"]))
        at = draw(st.integers(0, max(0, len(changed) - 1)))
        if kind == "byte" and changed:
            changed[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del changed[at : at + draw(st.integers(1, 40))]
        elif kind == "copy":
            changed[at:at] = changed[at : at + draw(st.integers(1, 40))]
        elif kind == "digit":
            digits = [i for i, byte in enumerate(changed) if 0x30 <= byte <= 0x39]
            if digits:
                where = digits[at % len(digits)]
                changed[where : where + 1] = str(draw(st.integers(0, 2**64))).encode()
        elif kind == "length":
            changed[:8] = draw(st.integers(0, 2**64 - 1)).to_bytes(8, "little")
    return bytes(changed)


@given(st.data())
def test_mutated_files_raise_nothing_but_our_errors(small: bytes, data: st.DataObject) -> None:
    changed = data.draw(st.composite(lambda draw: mutations(small, draw))())
    start = time.process_time()
    try:
        read(changed)
        problem = None
    except DDSetError as error:
        problem = error
    assert time.process_time() - start < 1
    if problem is None:
        assert changed == small
    else:
        assert "\n" not in str(problem)
        assert isinstance(problem, (InvalidFile, Unsupported))


def test_the_manifest_can_be_restated(tmp_path: Path, small: bytes) -> None:
    path = tmp_path / "x.ddset"
    path.write_bytes(small)
    before = read(path)
    changed = restate(path, license="CC0-1.0")
    after = read(path)
    assert after.manifest == changed
    assert changed.license == "CC0-1.0"
    assert changed.content_digest != before.manifest.content_digest
    assert changed.data_digest == before.manifest.data_digest
    assert np.array_equal(after.arrays["poster"], before.arrays["poster"])
    restate(path, license=None)
    assert path.read_bytes() == small
    with pytest.raises(InvalidFile, match="license"):
        restate(path, license="a\nb")
    assert path.read_bytes() == small
