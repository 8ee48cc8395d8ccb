"""The page with a file inside: the file comes out of it whole, and none of it becomes markup."""

from __future__ import annotations

import base64
import html
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ddcodec.errors import UsageError
from ddcodec.format import read, to_bytes
from ddcodec.inspection import page
from tests.helpers import vectors
from tests.helpers.small_files import STORAGE, arrays, manifest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "examples" / "viewer"
BESIDE = 60_000  # bytes that the page may add to a file in base64 and its name
HOSTILE = '"><script>alert(1)</script><!-- &quot; \udc80.ddset'


class Elements(HTMLParser):
    """The elements of a page, and what stands in those with an id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id")

    def handle_endtag(self, tag: str) -> None:
        self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[self.inside] = self.texts.get(self.inside, "") + data

    def named(self, name: str) -> dict[str, str | None]:
        return next(has for _, has in self.tags if has.get("id") == name)


def made(data: bytes, name: str = "x.ddset") -> str:
    return b"".join(page.page_with(data, name)).decode()


def test_the_file_comes_out_of_the_page_whole() -> None:
    data = (vectors.FOLDER / "valid" / "podd-colour.ddset").read_bytes()
    found = Elements(made(data, "colour.ddset"))
    assert base64.b64decode(found.texts["inside"], validate=True) == data
    assert found.named("inside")["data-name"] == "colour.ddset"


def test_a_file_of_many_pieces_is_one_base64_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "AT_ONCE", 3)
    data = bytes(range(256))
    assert base64.b64decode(Elements(made(data)).texts["inside"], validate=True) == data


def test_the_page_adds_little_to_a_file() -> None:
    data = bytes(1000)
    longest = "&" * 249 + ".ddset"
    added = len(made(data, longest).encode()) - len(base64.b64encode(data))
    assert added <= BESIDE + len(html.escape(longest))


def test_no_name_becomes_markup() -> None:
    plain, hostile = Elements(made(b"", "x")), Elements(made(b"", HOSTILE))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert hostile.named("inside")["data-name"] == HOSTILE.replace("\udc80", "?")


def test_no_class_becomes_markup() -> None:
    names = ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!--")
    data, _ = to_bytes(manifest(classes=names), arrays(), STORAGE)
    assert read(data).manifest.classes == names
    text = made(data)
    assert "alert(1)" not in text
    plain = Elements(made(b""))
    assert [tag for tag, _ in Elements(text).tags] == [tag for tag, _ in plain.tags]


def test_the_page_runs_one_script_and_fetches_nothing() -> None:
    found = Elements(made(b""))
    scripts = [has for tag, has in found.tags if tag == "script"]
    assert [has.get("type") for has in scripts] == ["text/plain", "text/plain", None]
    assert not any("src" in has for has in scripts)
    (policy,) = [has["content"] for tag, has in found.tags if "http-equiv" in has]
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["connect-src"] == "'none'"
    assert re.fullmatch(r"'sha256-\S{44}' 'strict-dynamic'", rules["script-src"])
    assert "unsafe" not in policy
    assert "connect-src http: https:" in page.viewer()  # for the addresses that people give


def test_a_file_that_no_browser_would_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST", 9)
    with pytest.raises(UsageError, match="10 bytes are too much for a page"):
        made(bytes(10))


def test_the_page_is_the_build_of_its_sources() -> None:
    node = shutil.which("node")
    if node is None or not (SOURCES / "node_modules" / "esbuild").is_dir():
        pytest.skip("needs Node.js, and npm ci in examples/viewer")
    command = [node, str(SOURCES / "build.mjs"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
