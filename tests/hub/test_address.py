"""Addresses on the hub: what they say, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddcodec.errors import UsageError
from ddcodec.hub import Address, is_address, local
from ddcodec.hub.address import check_repo, parse

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf://datasets/a/b/c.ddset", Address("a/b", "c.ddset")),
        ("hf://datasets/a/b/in/c.ddset@v1.0", Address("a/b", "in/c.ddset", "v1.0")),
        ("hf://datasets/A-1/b.c/c.ddset@refs/pr/1", Address("A-1/b.c", "c.ddset", "refs/pr/1")),
        (
            f"hf://datasets/a/b/c.ddset@main#sha256={DIGEST}",
            Address("a/b", "c.ddset", "main", "sha256", DIGEST),
        ),
        (
            f"hf://datasets/a/b/c-1.0.ddset#content={DIGEST}",
            Address("a/b", "c-1.0.ddset", None, "content", DIGEST),
        ),
    ],
)
def test_an_address_says_where_a_file_is_and_which(text: str, parts: Address) -> None:
    assert is_address(text)
    assert parse(text) == parts
    assert str(parts) == text
    assert is_address(Path(text))  # which drops a slash
    assert parse(Path(text)) == parts


def test_text_with_one_slash_is_a_path_and_the_web_is_not_the_hub() -> None:
    assert not is_address("hf:/datasets/a/b/c.ddset")
    assert local("hf:/datasets/a/b/c.ddset") == "hf:/datasets/a/b/c.ddset"
    with pytest.raises(UsageError, match="address on the web; fetch it first, or write hf://"):
        local("https://example.org/c.ddset")


@pytest.mark.parametrize(
    "text",
    [
        "hf://a/b/c.ddset",
        "hf://datasets/a/c.ddset",
        "hf://datasets/a/b/c.safetensors",
        "hf://datasets/a/b/c.ddset@",
        "hf://datasets/a/b@main/c.ddset",
        "hf://datasets/a/b/../c.ddset",
        "hf://datasets/../b/c.ddset",
        "hf://datasets/a/b..c/d.ddset",
        "hf://datasets/a/b/.c.ddset",
        "hf://datasets/a/b/c.ddset@../x",
        "hf://datasets/a/b/c.ddset@v1/../x",
        "hf://datasets/a/b/c.ddset#sha256=abc",
        f"hf://datasets/a/b/c.ddset#md5={DIGEST}",
        f"hf://datasets/a/b/c.ddset#sha256={DIGEST.upper()}",
        "hf://datasets/a/b/c.ddset\n",
        "hf://datasets/a/b/c?x.ddset",
        "hf://",
    ],
)
def test_what_is_no_address_is_refused_with_the_form(text: str) -> None:
    assert is_address(text)
    with pytest.raises(UsageError, match=r"write hf://datasets/OWNER/NAME/FILE\.ddset"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["c.ddset", "hf:c.ddset", "./hf://x", "https://x/c.ddset", b"hf://"]
)
def test_everything_else_is_a_path(text: str | bytes) -> None:
    assert not is_address(text)


@pytest.mark.parametrize(
    "name", ["a", "a/b/c", "a/", "/b", "a/b\n", "../b", "a b/c", "a/b--c", "a/b..c"]
)
def test_no_name_of_a_repository(name: str) -> None:
    with pytest.raises(UsageError, match="write OWNER/NAME"):
        check_repo(name)
    assert check_repo("some-one/digits_0.9") == "some-one/digits_0.9"
