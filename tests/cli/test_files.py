from __future__ import annotations

from pathlib import Path

import pytest
from ddcodec_cli.files import whole_folder

from ddcodec.data.export import folder_names
from ddcodec.errors import OutputError


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


def test_a_link_is_not_followed_into_another_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real", target_is_directory=True)
    with pytest.raises(OutputError, match="link"), whole_folder(link, overwrite=True):
        pass


def test_harmless_class_names_are_their_own_folders() -> None:
    names = ["cat", "sea lion", "猫", "maple_tree", "3.5 kg"]
    assert folder_names(names) == names


def test_hostile_class_names_stay_inside_and_apart() -> None:
    hostile = ["../../etc", "/root", "..", ".", "", "a\x00b", "a/b", "a_b", "A_B", "con", "x" * 300]
    hostile += ["\u202ecod", "nul.txt", " pad ", "pad", "class_4", "A_B_8"]
    names = folder_names(hostile)
    assert len({name.casefold() for name in names}) == len(hostile)
    for name in names:
        assert name.isprintable()
        assert not set(name) & set('/\\:*?"<>|')
        assert name.strip(" .") == name != ""
        assert name.lower().split(".")[0] not in {"con", "nul"}
