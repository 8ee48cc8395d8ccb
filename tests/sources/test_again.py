"""A file's source is found again by its digest; what the file says is never a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddcodec import sources
from ddcodec.errors import SourceError, UsageError
from ddcodec.sources import find_again, open_for, remember
from ddcodec.sources.named import cache_folder

NAMES = ["ant", "bee"]
IMAGES = np.arange(20 * 16, dtype=np.uint8).reshape(20, 4, 4)


def save(path: Path, images: np.ndarray = IMAGES, test: bool = True, first: int = 0) -> Path:
    labels = (np.arange(len(images)) + first) % 2
    arrays = {"train_images": images, "train_labels": labels, "class_names": np.array(NAMES)}
    if first:
        arrays["class_names"] = np.array(NAMES[::-1])
    if test:
        arrays |= {"test_images": images[:4], "test_labels": labels[:4]}
    np.savez(path, **arrays)
    return path


def made(path: Path, **how: Any) -> dict[str, Any]:
    """``source`` of the manifest of a file that was encoded from ``path``."""
    source = sources.load(path, **how)
    digest = source.digest()[:32]
    remember(digest, path)
    return {"name": source.name, "digest": digest, **source.asked}


def test_a_path_is_found_again_while_its_images_are_the_same(no_data: Path) -> None:
    path = save(no_data / "toy.npz")
    file = made(path)
    assert find_again(file, NAMES).where == str(path)
    save(path, images=IMAGES + 1)
    with pytest.raises(UsageError, match=r"toy\.npz: is not as it was.*digests differ.*`test`"):
        find_again(file, NAMES)
    path.unlink()
    with pytest.raises(UsageError, match=r"made from 'toy', which is not known here.*`test`"):
        find_again(file, NAMES)


def test_size_and_share_of_the_file_are_those_of_its_source(no_data: Path) -> None:
    file = made(save(no_data / "toy.npz", test=False), size=3, test_share=0.2)
    source = find_again(file, NAMES)
    assert source.require_test().images.shape == (4, 3, 3, 1)
    assert (source.height, len(source.train)) == (3, 16)
    assert open_for(no_data / "toy.npz", file, NAMES).require_test().images.shape == (4, 3, 3, 1)


def test_a_name_is_trusted_only_with_its_digest(no_data: Path) -> None:
    digest = sources.load("digits").digest()[:32]
    assert find_again({"name": "digits", "digest": digest}, "0123456789").name == "digits"
    file = made(save(no_data / "digits.npz"))
    with pytest.raises(UsageError, match=r"other images than those called 'digits'.*digits\.npz"):
        find_again(file, NAMES)


def test_a_known_name_that_is_not_here_gives_way_to_the_path(no_data: Path) -> None:
    file = made(save(no_data / "cifar10.npz"))
    assert find_again(file, NAMES).where == str(no_data / "cifar10.npz")
    with pytest.raises(SourceError, match="cifar10: not found; looked in"):
        find_again(file | {"digest": "0" * 32}, NAMES)


@pytest.mark.parametrize("name", ["/etc", "toy.npz", "./toy.npz", "../x", "hf://a/b", "train"])
def test_no_name_in_a_file_is_opened(no_data: Path, name: str) -> None:
    file = made(save(no_data / "toy.npz"))
    with pytest.raises(UsageError, match="not known here"):
        find_again({"name": name, "digest": "0" * 32}, NAMES)
    with pytest.raises(UsageError, match="not known here"):
        find_again({"name": name, "digest": "../" + file["digest"]}, NAMES)


def test_a_cache_that_cannot_be_used_changes_nothing(
    no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (no_data / "cache").write_text("no folder")
    file = made(save(no_data / "toy.npz"))
    with pytest.raises(UsageError, match="not known here"):
        find_again(file, NAMES)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(UsageError, match="not known here"):
        find_again(made(no_data / "toy.npz"), NAMES)


def test_the_record_holds_one_path_and_names_leave_none(no_data: Path) -> None:
    file = made(save(no_data / "toy.npz"))
    remember("1" * 32, "digits")
    (note,) = (cache_folder() / "encoded").iterdir()
    assert (note.name, note.read_text()) == (file["digest"], str(no_data / "toy.npz"))


def test_a_share_that_the_file_has_seen_is_no_test(no_data: Path) -> None:
    path = save(no_data / "toy.npz", test=False)
    whole, part = made(path), made(path, test_share=0.2)
    with pytest.raises(UsageError, match="has learned from all of it"):
        open_for(path, whole, NAMES, test_share=0.2)
    with pytest.raises(UsageError, match="has learned from all of it"):
        find_again(whole, NAMES, test_share=0.2)
    assert open_for(path, part, NAMES).digest()[:32] == part["digest"]
    other = save(no_data / "other.npz", images=IMAGES + 1, test=False)
    with pytest.raises(UsageError, match="is not what the file was made from"):
        open_for(other, part, NAMES)
    said: list[str] = []
    assert len(open_for(other, part, NAMES, test_share=0.2, say=said.append).require_test()) == 4
    assert any("make sure that the file has not learned" in line for line in said)


def test_a_test_source_may_have_its_classes_in_another_order(no_data: Path) -> None:
    file = made(save(no_data / "toy.npz"))
    source = open_for(save(no_data / "turned.npz", first=1), file, NAMES)
    assert source.classes == ("ant", "bee")
    assert source.require_test().labels.tolist() == [0, 1, 0, 1]
