"""A file appears whole or not at all, and the old one stays until then."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ddcodec.errors import InvalidFile, OutputError
from ddcodec.runtime.atomic import write_atomically


def test_the_file_has_the_bytes_and_usual_rights(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plain", "x"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("problem", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (OSError(errno.EIO, "Input/output error"), OutputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_leaves_the_old_file(
    call: str,
    problem: BaseException,
    raised: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise problem

    if call == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(raised) as caught:
        write_atomically(path, b"new")
    if raised is OutputError:
        assert str(path) in str(caught.value)
        assert "what was there is unchanged" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_file_that_does_not_validate_never_appears(tmp_path: Path) -> None:
    def validate(_: Path) -> None:
        raise InvalidFile("no", "DDS-E003")

    with pytest.raises(InvalidFile):
        write_atomically(tmp_path / "x", b"new", validate)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A real limit of the system on the size of a file, in a process of its own."""
    path = tmp_path / "x"
    path.write_bytes(b"old")
    code = f"""
import resource, signal
from pathlib import Path
from ddcodec.errors import OutputError
from ddcodec.runtime.atomic import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path({str(path)!r}), bytes(100_000))
except OutputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


WRITER = """
import sys
from pathlib import Path
from ddcodec.runtime.atomic import write_atomically
path, byte, count = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
for _ in range(count):
    write_atomically(path, byte * 300_000)
"""


def test_two_writers_and_a_reader_see_whole_files_only(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"c" * 300_000)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), byte, "40"]) for byte in "ab"
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        content = path.read_bytes()
        assert content == content[:1] * 300_000
        seen.add(content[:1])
    assert all(writer.returncode == 0 for writer in writers)
    assert path.read_bytes()[:1] in (b"a", b"b")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old" * 100_000)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), "a", "100000"])
    deadline = time.monotonic() + 60
    while path.read_bytes()[:1] != b"a" and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert path.read_bytes() == b"a" * 300_000
