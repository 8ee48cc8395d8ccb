from __future__ import annotations

from ddcodec.data.export import folder_names


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
