"""Where bytes come from: files, pipes, folders, and files that are larger than allowed."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddcodec import info
from ddcodec.errors import LimitExceeded, SourceError
from ddcodec.format import ChunkReader, Storage, read, read_manifest, to_bytes
from ddcodec.format.opening import load, read_stream
from ddcodec.inspection.verify import verify
from ddcodec.limits import Limits
from tests.helpers.hostile import Forgery
from tests.helpers.small_files import images_arrays, images_manifest


@pytest.fixture
def pipe(tmp_path: Path, small: bytes) -> Iterator[Path]:
    """A named pipe that gives a valid file to whoever opens it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(small,), daemon=True)
    writer.start()
    yield path
    writer.join(10)
    assert not writer.is_alive()


def test_a_pipe_is_read_whole(pipe: Path, small: bytes) -> None:
    assert read(pipe).manifest == read(small).manifest


def test_a_pipe_is_verified(pipe: Path) -> None:
    assert verify(pipe) == []


def test_the_manifest_of_a_pipe_is_read(pipe: Path, small: bytes) -> None:
    assert read_manifest(pipe)[0] == read(small).manifest


def test_chunks_of_a_pipe_are_refused_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(SourceError, match="regular"):
        ChunkReader(path)


def test_no_more_than_the_cap_is_read(tmp_path: Path) -> None:
    endless = io.BytesIO(bytes(1000))
    assert len(read_stream(endless, Limits(file_bytes=99))) == 100
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole: nothing is on the disk
    with pytest.raises(LimitExceeded, match="the limit is"):
        load(path, Limits())
    (finding,) = verify(path)
    assert finding.code == "DDS-E002"


def test_info_of_a_large_file_reads_its_header_alone(tmp_path: Path) -> None:
    """Ten gigabytes of images, all of them a hole of the disk: more than a reader may load."""
    raw = {name: Storage(coder="raw", chunk=1) for name in images_arrays()}
    forgery = Forgery.of(to_bytes(images_manifest(), images_arrays(), raw)[0])
    forgery.manifest["image"] |= {"height": 1 << 15, "width": 1 << 16}
    forgery.manifest["tensors"]["images"]["shape"] = [5, 1, 1 << 15, 1 << 16]
    position = 0
    for name, entry in forgery.header.items():
        if name.startswith("images"):
            entry["shape"] = [1, 1, 1 << 15, 1 << 16]
        size = (1 << 31) if name.startswith("images") else 12
        entry["data_offsets"] = [position, position + size]
        position += size
    path = tmp_path / "large.ddset"
    header = forgery.raw_header()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + position)
    facts = info(path)
    assert facts["pixels"] == 5 << 31
    assert facts["bytes"]["tensors"]["images"] == 5 << 31
    with pytest.raises(LimitExceeded, match="the limit is"):
        read(path)
    (finding,) = verify(path)
    assert finding.code == "DDS-E001"
