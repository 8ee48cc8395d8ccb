"""Options of every codec: each explains itself, takes what means the same, and refuses the rest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch

from ddcodec import D3M, LIC, PoDD, PPoDD, UsageError, encode
from ddcodec.codecs.options import Common, Options, about, chosen, flag_of, spelled, type_of
from ddcodec.codecs.registry import CODECS
from ddcodec.encoder import options_of_all
from ddcodec.sources import Source

KINDS = (Common, PoDD, PPoDD, LIC, D3M)
NEEDED: dict[Any, dict[str, Any]] = {
    Common: {},
    PoDD: {"ipc": 1},
    PPoDD: {"ipc": 1},
    LIC: {"ipc": 2, "observer": "o.safetensors"},
    D3M: {"ipc": 2, "observer": "o.safetensors", "prior": "p"},
}


def make(kind: type[Options], **given: Any) -> Options:
    return kind(**NEEDED[kind] | given)


def every() -> Iterator[tuple[type[Options], Any]]:
    for kind in KINDS:
        for each in fields(kind):
            yield kind, each


def of_type(wanted: Any) -> list[Any]:
    return [
        pytest.param(kind, each.name, id=f"{kind.__name__}.{each.name}")
        for kind, each in every()
        if type_of(kind, each.name)[0] is wanted
    ]


def test_all_codecs_that_encode_are_looked_at() -> None:
    assert {codec.Options for codec in CODECS.values()} - {None} == set(KINDS[1:])


@pytest.mark.parametrize(
    ("kind", "each"), [*every()], ids=lambda value: getattr(value, "name", value.__class__.__name__)
)
def test_every_option_has_help_and_says_how_a_value_is_written(
    kind: type[Options], each: Any
) -> None:
    known = about(each)
    assert known.help.endswith(".") or known.help.endswith("?")
    assert each.default is not MISSING
    wanted, optional = type_of(kind, each.name)
    assert optional or each.default is not None
    if wanted is bool:
        assert not known.metavar
        assert not known.choices
    else:
        assert known.metavar or known.choices
    if known.choices:
        assert each.default is None or each.default in known.choices


def test_no_two_options_share_a_flag_and_one_name_means_one_flag() -> None:
    owner: dict[str, str] = {}
    for _, each in every():
        for flag in filter(None, (flag_of(each), about(each).short)):
            assert owner.setdefault(flag, each.name) == each.name


@pytest.mark.parametrize(
    "value", [np.int32(3), np.uint8(3), np.array(3), torch.tensor(3), torch.tensor([3])]
)
def test_whole_numbers_of_other_libraries_are_whole_numbers(value: Any) -> None:
    found = make(PoDD, steps=value).steps  # type: ignore[attr-defined]
    assert (type(found), found) == (int, 3)


@pytest.mark.parametrize(
    "value", [np.float64(0.5), np.float32(0.5), np.array(0.5), torch.tensor(0.5)]
)
def test_real_numbers_of_other_libraries_are_real_numbers(value: Any) -> None:
    found = make(PoDD, ipc=value, patches=np.array([9, 2]))
    assert (type(found.ipc), found.ipc) == (float, 0.5)  # type: ignore[attr-defined]
    assert found.patches == (9, 2)  # type: ignore[attr-defined]
    assert make(PoDD, ipc=np.int64(2)).ipc == 2.0  # type: ignore[attr-defined]


def test_truths_of_other_libraries_are_truths() -> None:
    for yes in (True, np.True_, np.array(True)):
        assert Common(resume=yes).resume is True  # type: ignore[arg-type]


def test_paths_may_be_paths_and_text_may_be_a_path(tmp_path: Path) -> None:
    found = make(LIC, observer=PurePosixPath("a/b"))
    assert found.observer == Path("a/b")  # type: ignore[attr-defined]
    assert make(LIC, observer="a/b") == found
    names = tmp_path / "names.txt"
    names.write_text("a\nb\n")
    assert make(PoDD, order=names).order == str(names)  # type: ignore[attr-defined]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, True, "0.5", b"1", [1.0, 2.0]])
@pytest.mark.parametrize(("kind", "name"), of_type(float))
def test_what_is_no_finite_number_is_refused_by_name(kind: Any, name: str, bad: Any) -> None:
    with pytest.raises(UsageError, match=f"^`{name}` must be a finite number, got "):
        make(kind, **{name: bad})


@pytest.mark.parametrize("bad", [math.nan, 1.5, True, "3", np.float32(2), torch.tensor(2.5), (1,)])
@pytest.mark.parametrize(("kind", "name"), of_type(int))
def test_what_is_no_whole_number_is_refused_by_name(kind: Any, name: str, bad: Any) -> None:
    with pytest.raises(UsageError, match=f"^`{name}` must be a whole number, got "):
        make(kind, **{name: bad})


@pytest.mark.parametrize("bad", [1, 0.5, True, b"auto", ("auto",)])
@pytest.mark.parametrize(("kind", "name"), of_type(str))
def test_what_is_no_text_is_refused_by_name(kind: Any, name: str, bad: Any) -> None:
    with pytest.raises(UsageError, match=f"^`{name}` must be text, got "):
        make(kind, **{name: bad})


@pytest.mark.parametrize("bad", [1, 0, "yes", "", [True]])
@pytest.mark.parametrize(("kind", "name"), of_type(bool))
def test_what_is_no_truth_is_refused_by_name(kind: Any, name: str, bad: Any) -> None:
    with pytest.raises(UsageError, match=f"^`{name}` must be True or False, got "):
        make(kind, **{name: bad})


@pytest.mark.parametrize("bad", [1, 1.5, True])
@pytest.mark.parametrize(("kind", "name"), of_type(Path))
def test_what_is_no_path_is_refused_by_name(kind: Any, name: str, bad: Any) -> None:
    with pytest.raises(UsageError, match=f"^`{name}` must be a path, got "):
        make(kind, **{name: bad})


@pytest.mark.parametrize("bad", [3, "9x2", (1, 2, 3), (0, 2), (1.5, 2), (True, 2)])
def test_what_is_no_pair_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(UsageError, match=r"^`patches` must be a pair of whole numbers"):
        make(PoDD, patches=bad)


@pytest.mark.parametrize(
    ("kind", "each"), [*every()], ids=lambda value: getattr(value, "name", value.__class__.__name__)
)
def test_both_ends_of_a_range_hold_and_nothing_outside(kind: type[Options], each: Any) -> None:
    known = about(each)
    for end, step in ((known.least, -1), (known.most, 1)):
        if end is None:
            continue
        number = type_of(kind, each.name)[0]
        outside = number(end + step)
        with pytest.raises(UsageError, match=f"^`{each.name}` must be (from|at)"):
            make(kind, **{each.name: outside})
    if known.choices:
        with pytest.raises(UsageError, match=f"^`{each.name}` must be one of .* got"):
            make(kind, **{each.name: type(known.choices[0])(77)})


def test_options_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        make(PoDD).ipc = 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("codec", "given", "message"),
    [
        ("podd", {"step": 3}, "unknown option `step`; did you mean `steps`?"),
        ("podd", {"label_polling": "x"}, "unknown option `label_polling`; did you mean "
            "`label_pooling`?"),
        ("podd", {"stages": 3}, "`stages` belongs to the codec ppodd; podd has none"),
        ("d3m", {"total_bytes": 3}, "`total_bytes` belongs to the codecs podd and lic; d3m has "
            "none"),
        ("podd", {"observer": "o"}, "`observer` belongs to the codecs lic and d3m; podd has none"),
    ],
)  # fmt: skip
def test_an_option_that_a_codec_has_not_is_named_with_what_is_right(
    codec: str, given: dict[str, Any], message: str, digits: Source, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        encode(digits, tmp_path / "x.ddset", codec, **given)
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_a_name_like_no_other_gets_the_list_of_all() -> None:
    with pytest.raises(UsageError, match=r"unknown option `qqqq`; podd has: ipc, .*total_bytes"):
        chosen(PoDD, {"qqqq": 1}, "podd", options_of_all())


def test_options_beside_an_object_of_options_are_refused(digits: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`steps` belongs in PoDD\(\.\.\.\)"):
        encode(digits, tmp_path / "x.ddset", PoDD(ipc=1), steps=3)


def test_a_command_has_the_options_that_differ_from_the_defaults() -> None:
    values = {"steps": 7, "ipc": 0.25, "order": "auto", "patches": (9, 2), "labels": None}
    words = spelled({**values, "resume": True, "seed": 0}, PoDD, Common)
    assert words == ["--steps", "7", "--ipc", "0.25", "--patches", "9x2", "--resume"]
    assert spelled({"observer": Path("/somewhere/o.safetensors")}, LIC) == [
        "--observer",
        "o.safetensors",
    ]


def test_help_of_the_options_says_what_each_is_for() -> None:
    for kind in (PoDD, PPoDD, LIC, D3M):
        assert kind.__doc__ is not None
        for each in fields(kind):
            assert f"    {each.name}: {each.metadata['about'].help}" in kind.__doc__


def test_typed_options_refuse_an_unknown_name_as_keywords_do() -> None:
    with pytest.raises(UsageError, match="did you mean `order`"):
        PoDD(ordr="clip")  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="not both"):
        PoDD(ipc=1, total_bytes=2000)


@pytest.mark.parametrize(
    ("source", "out", "codec", "named"),
    [(7, "x.ddset", "podd", "source"), ("digits", 3, "podd", "out"), ("digits", "x", 3, "codec")],
)
def test_arguments_of_another_kind_are_named(source: Any, out: Any, codec: Any, named: str) -> None:
    given = {} if codec == 3 else {"ipc": 1}
    with pytest.raises(UsageError, match=f"`{named}` must be"):
        encode(source, out, codec, **given)


@pytest.mark.parametrize("text", ["True", "False"])
def test_a_word_is_no_truth(text: str) -> None:
    with pytest.raises(UsageError, match="`resume` must be True or False"):
        Common(resume=text)  # type: ignore[arg-type]


def test_options_of_no_codec_are_refused(digits: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`codec` must be a name, or options such as PoDD"):
        encode(digits, tmp_path / "x.ddset", Common())
