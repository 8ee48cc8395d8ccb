"""Folders appear whole or not at all, where links lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddcodec.errors import OutputError
from ddcodec.runtime.folders import check_folder, whole_folder


def test_a_folder_that_fails_half_way_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.mkdir()
    (target / "old").write_text("old")

    def fail() -> None:
        with whole_folder(target, overwrite=True) as draft:
            (draft / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_forced_folder_holds_the_new_content_alone(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.mkdir()
    (target / "old").write_text("old")
    with whole_folder(target, overwrite=True) as draft:
        (draft / "new").write_text("new")
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_one_line_that_names_the_output(tmp_path: Path) -> None:
    def fill() -> None:
        with whole_folder(tmp_path / "x", overwrite=False):
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"x: cannot write: No space left on device"):
        fill()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", [True, False])
def test_of_a_link_the_folder_is_replaced_and_the_link_stays(tmp_path: Path, there: bool) -> None:
    real, link = tmp_path / "far" / "real", tmp_path / "link"
    real.parent.mkdir()
    if there:
        real.mkdir()
        (real / "old").write_text("old")
    link.symlink_to(Path("far", "real"))
    with whole_folder(link, overwrite=there) as draft:
        (draft / "new").write_text("new")
    assert link.is_symlink()
    assert [path.name for path in real.iterdir()] == ["new"]
    assert {path.name for path in tmp_path.iterdir()} == {"far", "link"}
    assert [path.name for path in real.parent.iterdir()] == ["real"]


def test_what_cannot_be_a_folder_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "to-file").symlink_to("file")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    (tmp_path / "to-full").symlink_to("full")
    (tmp_path / "nowhere").symlink_to("absent/x")
    for name, words in {
        "file": "is not a folder",
        "to-file": "is not a folder",
        "circle": "symbolic links",
        "full": "not empty; .*`overwrite`",
        "to-full": "not empty",
        "nowhere": "does not exist",
    }.items():
        with pytest.raises(OutputError, match=f"{name}: .*{words}"):
            check_folder(tmp_path / name, overwrite=False)
