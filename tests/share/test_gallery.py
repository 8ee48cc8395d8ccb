"""Galleries: what is on the page, in what order, and that it fetches nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

import ddcodec
from ddcodec.errors import InvalidFile, SourceError
from ddcodec.format import write
from ddcodec.share.gallery import find_files, write_gallery
from ddcodec.share.gallery_chart import Point, chart, frontier
from ddcodec.share.gallery_page import Entry, page
from ddcodec.share.subject import subject_of
from tests.helpers.small_files import STORAGE, arrays, manifest
from tests.helpers.vectors import several_networks

VECTORS = Path(__file__).parents[2] / "spec" / "vectors" / "valid"
HOSTILE = '"><script>alert(1)</script><img src=//evil onerror=alert(2)>'
MEASURED = {"accuracy_std": 0.01, "nets": 4, "steps": 10, "test": "zoo", "test_count": 9}


class Page(HTMLParser):
    """Elements of a page, and the texts of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        self.open = tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open, []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]


def put(folder: Path, name: str, **changes: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, manifest(**changes), arrays(), STORAGE)
    return path


def shown(*paths: Path) -> Page:
    """Return the page of files without pictures, which take their time."""
    entries = [Entry(subject_of(path), path.name, f"file-{n}") for n, path in enumerate(paths)]
    return Page(page(entries, "Zoo & co"))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    put(folder, "a.ddset", measured=MEASURED | {"accuracy_mean": 0.4}, license="MIT")
    put(folder, "in/b.ddset", classes=("ant", "bee", "z" * 150))
    model = next(path for path in VECTORS.glob("*.ddset") if ddcodec.info(path)["external"])
    shutil.copy(model, folder / "in" / "model.ddset")
    return folder


@pytest.fixture(scope="session")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery of three files, one of them without pictures, with copies to download."""
    folder = tmp_path_factory.mktemp("site")
    write_gallery(root, find_files(root), folder, title="Zoo & co", with_files=True)
    return folder


def test_every_file_has_a_row_with_its_figures(root: Path, site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    made = Page(text)
    assert len([one for one in made.all("tr") if one.get("id")]) == 3
    cells = [one for one in made.all("td") if one.get("data-label") == "Bits per class"]
    bits = [float(one["data-value"] or "nan") for one in cells]
    assert bits == sorted(bits)
    assert set(bits) == {ddcodec.info(path)["bits_per_class"] for path in root.rglob("*.ddset")}
    for words in (
        "40.0 ± 1.0 %<small>on zoo</small>",
        "pixels, needs a model of ",
        "not measured",
        "MIT",
        "not stated",
        "in/b.ddset",
        "Zoo &amp; co",
    ):
        assert words in text


def test_a_file_has_a_picture_and_a_larger_one_unless_a_model_makes_its_images(site: Path) -> None:
    made = Page((site / "index.html").read_text(encoding="utf-8"))
    images = made.all("img")
    assert len(images) == 2
    for image in images:
        with Image.open(site / str(image["src"])) as picture:
            assert picture.size == (int(str(image["width"])), int(str(image["height"])))
            assert max(picture.size) <= 504
    larger = [str(a["href"]) for a in made.all("a") if str(a["href"]).endswith("-large.png")]
    assert len(larger) == 2
    assert all((site / name).is_file() for name in larger)


def test_copies_of_the_files_are_linked(root: Path, site: Path) -> None:
    made = Page((site / "index.html").read_text(encoding="utf-8"))
    links = [str(a["href"]) for a in made.all("a") if "download" in a]
    assert sorted(links) == ["files/a.ddset", "files/in/b.ddset", "files/in/model.ddset"]
    for link in links:
        assert (site / link).read_bytes() == (root / link.removeprefix("files/")).read_bytes()
    assert not any("download" in a for a in shown(root / "a.ddset").all("a"))


def test_text_of_a_stranger_stays_text(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        "x.ddset",
        classes=(HOSTILE, "bee", "zebra"),
        license=HOSTILE,
        source={"name": HOSTILE, "split": "train", "count": 30, "digest": "0" * 32},
        provenance={"tool": "t", "command": HOSTILE, "seed": 0},
        measured=MEASURED | {"accuracy_mean": 0.4, "test": HOSTILE},
    )
    made = shown(path)
    assert len(made.all("script")) == 1
    assert made.all("img") == []
    assert all("onerror" not in attributes for _, attributes in made.elements)
    assert HOSTILE in made.texts["dd"]


def test_nothing_is_fetched_from_elsewhere_and_nothing_else_runs(site: Path) -> None:
    made = Page((site / "index.html").read_text(encoding="utf-8"))
    for _, attributes in made.elements:
        for name in ("src", "href"):
            assert not re.match(r"(?:\w+:)?//", attributes.get(name) or "")
    (policy,) = (one["content"] for one in made.all("meta") if one.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; ")
    assert "unsafe" not in str(policy)
    for tag in ("style", "script"):
        digest = hashlib.sha256(made.texts[tag][0].encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in str(policy)
    assert "url(" not in made.texts["style"][0]


def test_what_other_networks_learn_stands_with_the_accuracy(tmp_path: Path) -> None:
    path = put(tmp_path, "a.ddset", **several_networks())
    assert "other networks 50.0 %" in shown(path).texts["small"]


def test_the_curve_has_a_point_for_every_measured_file(tmp_path: Path) -> None:
    a, b = (
        put(tmp_path, f"{name}.ddset", measured=MEASURED | {"accuracy_mean": mean})
        for name, mean in (("a", 0.4), ("b", 0.5))
    )
    c = put(tmp_path, "c.ddset")
    made = shown(a, b, c)
    assert len(made.all("circle")) == 2 * 2  # the wide curve and the narrow one
    links = {one["href"] for one in made.all("a") if str(one["href"]).startswith("#")}
    assert links == {"#file-0", "#file-1"}
    assert shown(c).all("figure") == []


def test_each_set_of_test_images_has_a_colour_of_its_own(tmp_path: Path) -> None:
    made = shown(*(
        put(tmp_path, f"{test}.ddset", measured=MEASURED | {"accuracy_mean": 0.4, "test": test})
        for test in ("zoo", "circus")
    ))  # fmt: skip
    assert [one["class"] for one in made.all("g")] == ["series s0", "series s1"] * 2
    assert [one["class"] for one in made.all("i")] == ["s0", "s1"]
    assert [text for text in made.texts["i"] if text.strip()] == ["circus", "zoo"]


def test_a_line_joins_what_no_smaller_file_reaches() -> None:
    points = [
        Point("zoo", bits, accuracy, 0.01, "x", "r")
        for bits, accuracy in ((10, 0.3), (20, 0.2), (30, 0.5), (40, 0.5), (50, 0.6))
    ]
    assert [p.bits for p in frontier(points)] == [10, 30, 50]


@pytest.mark.parametrize(
    "sizes", [(1000.0,), (1000.0, 1001.0), (10.0, 1e9), (1284, 1510, 7969, 22023)]
)
@pytest.mark.parametrize("mean", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("spread", [0.0, 0.2])
def test_every_point_lies_inside_of_the_curve(
    sizes: tuple[float, ...], mean: float, spread: float
) -> None:
    points = [Point("<zoo>", bits, mean, spread, "a<b", "r") for bits in sizes]
    svg = ElementTree.fromstring(chart(points, 340, 300))
    circles = [one for one in svg.iter() if one.tag == "circle"]
    assert len(circles) == len(sizes)
    for circle in circles:
        assert 46 <= float(circle.attrib["cx"]) <= 324
        assert 14 <= float(circle.attrib["cy"]) <= 254
    ticks = [one for one in svg.iter("text") if "mid" in one.attrib["class"]]
    assert 1 <= len(ticks) - 1 <= 10
    shares = [one.text for one in svg.iter("text") if "end" in one.attrib["class"]]
    assert 2 <= len(shares) <= 6
    assert all(0 <= int(str(share).rstrip("%")) <= 100 for share in shares)
    assert chart([], 340, 300) == ""


def test_what_cannot_be_shown_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no \.ddset files"):
        find_files(tmp_path)
    bad = tmp_path / "bad.ddset"
    bad.write_bytes(b"x" * 100)
    with pytest.raises(SourceError, match="is not a folder"):
        find_files(bad)
    (tmp_path / "site").mkdir()
    with pytest.raises(InvalidFile, match=r"bad\.ddset"):
        write_gallery(tmp_path, [bad], tmp_path / "site", title="x")


@pytest.mark.slow
def test_the_page_works_in_a_browser(site: Path) -> None:
    node = shutil.which("node")
    library = os.environ.get("PLAYWRIGHT", "")
    browser = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
    if node is None or not Path(library).is_dir() or not library or not browser.is_file():
        pytest.skip("needs Node.js, chromium, and PLAYWRIGHT with the folder of playwright-core")
    command = [node, str(Path(__file__).with_name("check_gallery.mjs")), str(site)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
