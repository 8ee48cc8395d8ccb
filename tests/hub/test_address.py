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
    ("text", "wrong"),
    [
        ("hf://a/b/c.ddset", "'a' is no kind of repository that is read, which is datasets"),
        ("hf://", "it lacks the kind of repository"),
        ("hf://datasets", "it lacks the repository, OWNER/NAME"),
        ("hf://datasets/a", "'a' is no repository, OWNER/NAME"),
        ("hf://datasets/../b/c.ddset", "'../b' is no repository"),
        ("hf://datasets/a/b..c/d.ddset", "'a/b..c' is no repository"),
        ("hf://datasets/a/b", "it lacks the path of a .ddset file in the repository"),
        ("hf://datasets/a/b@main/c.ddset", "it lacks the path of a .ddset file"),
        ("hf://datasets/a/c.ddset", "it lacks the path of a .ddset file"),
        ("hf://datasets/a/b/c.safetensors", "'c.safetensors' is no path of a .ddset file"),
        ("hf://datasets/a/b/../c.ddset", "'../c.ddset' is no path of a .ddset file"),
        ("hf://datasets/a/b/.c.ddset", "'.c.ddset' is no path"),
        ("hf://datasets/a/b/c?x.ddset", "'c?x.ddset' is no path"),
        ("hf://datasets/a/b/c.ddset\n", r"'c.ddset\n' is no path"),
        ("hf://datasets/a/b/c.ddset@", "it lacks the revision"),
        ("hf://datasets/a/b/c.ddset@../x", "'../x' is no revision"),
        ("hf://datasets/a/b/c.ddset@v1/../x", "'v1/../x' is no revision"),
        ("hf://datasets/a/b/c.ddset#", "it lacks the digest, sha256= or content= and 64"),
        ("hf://datasets/a/b/c.ddset#sha256=abc", "'sha256=abc' is no digest"),
        (f"hf://datasets/a/b/c.ddset#md5={DIGEST}", f"'md5={DIGEST}' is no digest"),
        (
            f"hf://datasets/a/b/c.ddset#sha256={DIGEST.upper()}",
            f"'sha256={DIGEST.upper()}' is no",
        ),
    ],
)
def test_what_is_no_address_is_refused_with_what_is_wrong_in_it_and_the_form(
    text: str, wrong: str
) -> None:
    assert is_address(text)
    with pytest.raises(UsageError, match=r"write hf://datasets/OWNER/NAME/FILE\.ddset") as raised:
        parse(text)
    assert f"is no address on the hub: {wrong}" in str(raised.value)


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
