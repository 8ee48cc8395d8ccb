"""Flags, help and refusals of ``encode`` as they follow from the options of the codecs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from ddcodec_cli.flags import spelled, values

from ddcodec import LIC, PoDD, UsageError
from ddcodec.codecs.options import Common, Options, about, flag_of
from ddcodec.codecs.registry import CODECS

Run = Callable[..., Any]
ENCODERS = [name for name, codec in CODECS.items() if codec.Options is not None]


def flags(kind: type[Options], expert: bool) -> list[str]:
    return [flag_of(each) for each in fields(kind) if about(each).expert == expert]


def shown(text: str, flag: str) -> int:
    """Return how many lines of a help begin with a flag, alone or after its short form."""
    heads = [line.split()[:2] for line in text.splitlines() if line.startswith("  -")]
    return sum(flag in [word.rstrip(",") for word in head] for head in heads)


def test_help_of_encode_fits_a_screen_and_has_no_option_for_experts(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = run("encode", "--help")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80
    for kind in (Common, PoDD):
        assert {flag: shown(outcome.out, flag) for flag in flags(kind, False)} == dict.fromkeys(
            flags(kind, False), 1
        )
    assert not any(shown(outcome.out, flag) for flag in flags(PoDD, True))
    assert "--observer" not in outcome.out
    assert f"--codec {'|'.join(ENCODERS)} --help" in outcome.out


@pytest.mark.parametrize("spelling", ["--codec {}", "--codec={}"])
@pytest.mark.parametrize("name", ENCODERS)
def test_help_of_a_codec_shows_its_options_and_those_for_experts_apart(
    run: Run, name: str, spelling: str
) -> None:
    outcome = run("encode", *spelling.format(name).split(), "--help")
    assert outcome.code == 0
    kind = CODECS[name].Options
    assert kind is not None
    before, heading, experts = outcome.out.partition(f"{kind.title}, for experts:")
    assert bool(heading) == bool(flags(kind, True))
    assert [flag for flag in flags(kind, False) if shown(before, flag) != 1] == []
    assert [flag for flag in flags(kind, True) if shown(experts, flag) != 1] == []
    others = {each.title for each in map(options_of, ENCODERS) if each is not kind}
    assert not any(f"\n{title}" in outcome.out for title in others)


def options_of(name: str) -> type[Options]:
    kind = CODECS[name].Options
    assert kind is not None
    return kind


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ipc", "1", "--squeeze", "4"), "--squeeze belongs to the codec lic; podd has none"),
        (("--codec", "lic", "--ipc", "1", "--order", "clip"), "--order belongs to the codecs"),
        (("--codec", "d3m", "--ipc", "1", "--stages", "2"), "--stages belongs to the codec ppodd"),
        (("--ipc", "1", "--stepz", "4"), "--steps"),
        (("--ipc", "1", "--squeze", "4"), "--squeeze"),
        ((), "give --ipc, or --bytes"),
        (("--ipc", "1", "--bytes", "900"), "give --ipc or --bytes, not both"),
        (("--ipc", "1", "--aware", "2"), "--aware must be from 0 to 1"),
        (("--ipc", "1", "--profile", "slow"), "--profile must be one of auto, quick, paper"),
        (("--ipc", "1", "--seed", "-1"), "--seed must be at least 0"),
        (("--ipc", "1", "--steps", "x"), "--steps x: not a whole number"),
        (("--ipc", "x"), "--ipc x: not a number"),
        (("--codec", "lic", "--ipc", "1"), "--observer"),
    ],
)
def test_what_is_wrong_is_said_with_flags_and_exits_2(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    outcome = run("encode", "digits", "--device", "cpu", *words)
    assert outcome.code == 2
    assert said in outcome.error_line
    assert "`" not in outcome.error_line


def test_a_name_of_the_library_becomes_its_flag() -> None:
    assert spelled("`out`, `overwrite` and `total_bytes`") == "-o, -f and --bytes"
    assert spelled("`class_grid`=5x2 is too small") == "--class-grid 5x2 is too small"
    assert spelled("`train_steps` must be 1") == "--train-steps must be 1"
    assert spelled("nothing to replace") == "nothing to replace"


def test_words_become_the_values_of_the_codec() -> None:
    given = {"patches": "7x3", "time": "9m", "ipc": "0.4", "steps": None, "squeeze": "4"}
    assert values(given, PoDD) == {"patches": (7, 3), "time": 540.0, "ipc": 0.4, "squeeze": "4"}
    assert values({"compensate": True, "squeeze": "4"}, LIC) == {"compensate": False, "squeeze": 4}
    with pytest.raises(UsageError, match="--patches 7"):
        values({"patches": "7"}, PoDD)
