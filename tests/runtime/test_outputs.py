"""Outputs: devices and pipes are written to, links followed, names of any length; checks before."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ddcodec.errors import DDSetError, OutputError, UsageError
from ddcodec.runtime.atomic import write_atomically
from ddcodec.runtime.outputs import check_output, checkpoint_of, output_path

LONGEST = "x" * 255


def test_a_pipe_gets_the_bytes_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    check_output(pipe, overwrite=False)
    write_atomically(pipe, lambda file: file.write(b"new" * 100_000) and None)
    reader.join(60)
    assert got == [b"new" * 100_000]
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_device_is_written_to_and_stays_a_device() -> None:
    check_output(Path("/dev/null"), overwrite=False)
    write_atomically(Path("/dev/null"), b"new")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OutputError, match=r"/dev/full: cannot write: No space left on device$"):
        write_atomically(Path("/dev/full"), b"new")


def test_what_is_open_is_written_to_whatever_it_leads_to(tmp_path: Path) -> None:
    file = tmp_path / "x"
    with file.open("w+b") as opened:
        path = Path(f"/dev/fd/{opened.fileno()}")
        check_output(path, overwrite=False)
        write_atomically(path, b"new")
        # Another file in its place would have the bytes, but not be the one that is open.
        assert opened.read() == b"new"
    assert file.read_bytes() == b"new"


def test_what_does_not_validate_never_reaches_a_pipe(tmp_path: Path) -> None:
    def refuse(_: Path) -> None:
        raise DDSetError("no")

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(DDSetError):  # opening the pipe would wait for a reader for ever
        write_atomically(pipe, b"new", refuse)


@pytest.mark.parametrize("there", [True, False])
def test_of_a_link_the_target_is_written_and_the_link_stays(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    target.parent.mkdir()
    if there:
        target.write_text("old")
    link.symlink_to(Path("far", "target"))
    check_output(link, overwrite=there)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_failure_leaves_the_target_of_a_link(tmp_path: Path) -> None:
    def refuse(_: Path) -> None:
        raise OSError(5, "Input/output error")

    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with pytest.raises(OutputError):
        write_atomically(link, b"new", refuse)
    assert target.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"target", "link"}


@pytest.mark.parametrize("name", [LONGEST, "é" * 127, "x" * 240 + ".ddset", "f.ddset"])
def test_a_name_of_any_length_has_a_checkpoint_of_its_own(tmp_path: Path, name: str) -> None:
    out, other = tmp_path / name, tmp_path / (name[:-1] + "y")
    for path in (out, checkpoint_of(out)):
        write_atomically(path, name.encode())
    assert {path.name for path in tmp_path.iterdir()} == {name, checkpoint_of(out).name}
    assert checkpoint_of(out).name.endswith(".checkpoint")
    assert checkpoint_of(other) != checkpoint_of(out)
    assert checkpoint_of(tmp_path / "f.ddset").name == "f.ddset.checkpoint"


def test_the_checkpoint_of_a_device_is_in_the_current_folder(tmp_path: Path) -> None:
    assert checkpoint_of(Path("/dev/null")) == Path("null.checkpoint")


def a_circle(folder: Path) -> Path:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    return folder / "a"


def a_link_into_nothing(folder: Path) -> Path:
    (folder / "link").symlink_to("absent/target")
    return folder / "link"


def a_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "socket"))
    return folder / "socket"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder, "is a folder"),
        (lambda folder: folder / ("x" * 256), "too long"),
        (lambda folder: folder / "absent" / "x", "does not exist"),
        (lambda folder: Path("/proc/x"), "cannot be written to"),
        (a_circle, "cannot"),
        (a_link_into_nothing, "does not exist"),
        (a_socket, "cannot be written to"),
    ],
)
def test_what_cannot_be_written_is_found_before(
    tmp_path: Path, make: Callable[[Path], Path], said: str
) -> None:
    path = make(tmp_path)
    there = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError, match=said) as caught:
        check_output(path, overwrite=True)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == there


@pytest.mark.parametrize("value", ["", "a\0b", "x/", "absent/", 5, None, b"bytes"])
def test_what_can_be_no_file_name_is_refused(value: object) -> None:
    with pytest.raises(UsageError):
        output_path(value)
