"""Reading a file chunk by chunk: the same values, checked, with little memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ddcodec.errors import InvalidFile, SourceError, Unsupported
from ddcodec.format import ChunkReader, Storage, read, read_manifest, to_bytes
from ddcodec.inspection.verify import verify
from tests.helpers.hostile import CODES, Forgery
from tests.helpers.small_files import arrays, images_arrays, images_manifest, manifest

CHUNKED = {"poster": Storage(bits=8, per_channel=True, chunk=1), "labels": Storage(chunk=1)}


@pytest.fixture
def chunked(tmp_path: Path) -> Path:
    """A file with two chunks of labels and a poster in one."""
    path = tmp_path / "x.ddset"
    path.write_bytes(to_bytes(manifest(), arrays(), CHUNKED)[0])
    return path


def read_all(reader: ChunkReader) -> None:
    for name in reader.manifest.tensors:
        for i in range(reader.chunks(name)):
            reader.read(name, i)


def test_chunks_hold_what_the_whole_holds(chunked: Path) -> None:
    file = read(chunked)
    with ChunkReader(chunked) as reader:
        assert reader.manifest == file.manifest
        assert reader.sizes == file.sizes == read_manifest(chunked)[1]
        for name, array in file.arrays.items():
            spans = [reader.rows(name, i) for i in range(reader.chunks(name))]
            assert [begin for begin, _ in spans] == [0, *[end for _, end in spans[:-1]]]
            parts = [reader.read(name, i) for i in range(reader.chunks(name))]
            assert [len(part) for part in parts] == [end - begin for begin, end in spans]
            assert np.array_equal(np.concatenate(parts), array)
            assert parts[0].dtype == array.dtype


def test_tensors_in_one_piece_are_chunks_too(tmp_path: Path, small: bytes) -> None:
    path = tmp_path / "x.ddset"
    path.write_bytes(small)
    with ChunkReader(path) as reader:
        assert reader.chunks("poster") == 1
        assert reader.rows("poster", 0) == (0, 1)
        assert np.array_equal(reader.read("poster", 0), read(path).arrays["poster"])


def test_what_is_not_there_is_an_index_or_key_error(chunked: Path) -> None:
    with ChunkReader(chunked) as reader:
        for i in (-1, 2):
            with pytest.raises(IndexError, match="2 pieces"):
                reader.read("labels", i)
            with pytest.raises(IndexError):
                reader.rows("labels", i)
        for ask in (reader.chunks, lambda name: reader.read(name, 0)):
            with pytest.raises(KeyError):
                ask("images")


def test_every_flipped_bit_of_a_chunk_is_found_when_it_is_read(chunked: Path) -> None:
    raw = {"poster": Storage(coder="raw"), "labels": Storage(coder="raw", chunk=1)}
    whole, _ = to_bytes(manifest(), arrays(), raw)
    begin = 8 + int.from_bytes(whole[:8], "little")
    for position in range(begin, len(whole), 3):
        chunked.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        with ChunkReader(chunked) as reader, pytest.raises(InvalidFile, match="digest"):
            read_all(reader)
    with ChunkReader(chunked) as reader, pytest.raises(InvalidFile, match="tensor data"):
        reader.check_data()


def test_damage_in_the_manifest_is_found_by_the_first_read(chunked: Path) -> None:
    forgery = Forgery.of(chunked.read_bytes())
    forgery.manifest["classes"][0] = "Ant"
    chunked.write_bytes(forgery.build())
    with ChunkReader(chunked) as reader:
        reader.check_data()
        for _ in range(2):
            with pytest.raises(InvalidFile, match="content digest"):
                reader.read("labels", 1)
        with pytest.raises(InvalidFile, match="content digest"):
            reader.check_content()
    with ChunkReader(chunked, check=False) as unchecked:
        assert unchecked.read("poster", 0).shape == (1, 6, 10)


def test_values_are_checked_in_every_chunk(tmp_path: Path) -> None:
    bad = arrays()
    bad["labels"][1, 2] = 0
    path = tmp_path / "x.ddset"
    path.write_bytes(to_bytes(manifest(), bad, CHUNKED)[0])
    with ChunkReader(path, check=False) as reader:
        reader.read("labels", 0)
        with pytest.raises(InvalidFile, match="all zero"):
            reader.read("labels", 1)


def test_threads_may_read_at_the_same_time(chunked: Path) -> None:
    expected = read(chunked).arrays["labels"]
    with ChunkReader(chunked) as reader, ThreadPoolExecutor(8) as pool:
        for i, part in enumerate(pool.map(lambda i: reader.read("labels", i % 2), range(200))):
            assert np.array_equal(part, expected[i % 2 : i % 2 + 1])


def test_a_closed_reader_a_missing_file_and_a_folder_are_source_errors(chunked: Path) -> None:
    reader = ChunkReader(chunked)
    reader.close()
    with pytest.raises(SourceError, match="was closed"):
        reader.read("labels", 0)
    for path in (chunked.parent / "absent", chunked.parent):
        with pytest.raises(SourceError, match=str(path)):
            ChunkReader(path)


def test_a_file_that_shrinks_is_invalid(chunked: Path) -> None:
    with ChunkReader(chunked) as reader:
        chunked.write_bytes(chunked.read_bytes()[:-1])
        with pytest.raises(InvalidFile, match="cut short"):
            read_all(reader)


@pytest.mark.slow
def test_verify_refuses_every_flipped_bit_of_a_file_in_chunks(tmp_path: Path) -> None:
    storage = {"images": Storage(chunk=2), "labels": Storage(coder="raw", chunk=2)}
    whole, _ = to_bytes(images_manifest(), images_arrays(), storage)
    path = tmp_path / "x.ddset"
    path.write_bytes(whole)
    assert verify(path) == []
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        try:
            (finding,) = verify(path)
        except Unsupported:
            continue
        assert finding.code in CODES
