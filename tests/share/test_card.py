"""Cards: what they say, that the hub takes them, and that text of a stranger stays text."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ddcodec
from ddcodec import sources
from ddcodec.codecs.base import Paper
from ddcodec.codecs.registry import CODECS
from ddcodec.format import write
from ddcodec.inspection.published import Published
from ddcodec.share.card import card, metadata
from ddcodec.share.croissant import croissant
from ddcodec.share.licences import HUB_LICENCES, hub_licence, licence_page
from ddcodec.share.markdown import escaped, fenced, front_matter
from ddcodec.share.page import write_page
from ddcodec.share.subject import SIDECAR, Stored, Subject, subject_of
from tests.helpers.small_files import STORAGE, arrays, manifest
from tests.helpers.vectors import several_networks

yaml = pytest.importorskip("yaml")
hub_cards = pytest.importorskip("tests.helpers.hub_cards")

RESULTS = sorted((Path(__file__).parents[2] / "examples" / "results").glob("*.ddset"))
VECTORS = Path(__file__).parents[2] / "spec" / "vectors" / "valid"
HOSTILE = "<script>alert(1)</script> | [x](http://evil) `code` # --- https://evil ![y](z)"


def published(path: Path) -> Subject:
    """Return a file with the page around it, as far as texts need one."""
    sidecar = Stored(SIDECAR, 12_345, "0" * 64)
    return subject_of(path, repo="some-one/sets", sidecar=sidecar, samples=18, pictured=True)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def write_file(**changes: Any) -> Path:
        path = tmp_path / "zoo.ddset"
        write(path, manifest(**changes), arrays(), STORAGE)
        return path

    return write_file


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_hub_takes_the_card_of_every_published_file(path: Path) -> None:
    text = card(published(path))
    assert hub_cards.faults(text) == []
    client = pytest.importorskip("huggingface_hub")
    parsed = client.DatasetCard(text)
    assert parsed.data.task_categories == ["image-classification"]
    assert parsed.data.size_categories == ["n<1K"]
    assert ("arxiv:2403.12040" in parsed.data.tags) == ("podd" in parsed.data.tags)
    assert parsed.data.configs[0]["data_files"] == [{"split": "train", "path": SIDECAR}]
    # What the client writes again is what was read.
    assert client.DatasetCard(str(parsed)).data.to_dict() == parsed.data.to_dict()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the library itself
@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_croissants_own_library_takes_the_metadata(path: Path, tmp_path: Path) -> None:
    library = pytest.importorskip("mlcroissant")
    place = tmp_path / "croissant.json"
    place.write_text(json.dumps(croissant(published(path))), encoding="utf-8")
    read = library.Dataset(jsonld=place)  # raises where it is invalid
    assert read.metadata.issues.errors == set()
    assert [record.id for record in read.metadata.record_sets] == ["classes", "samples"]
    rows = list(read.records("classes"))
    assert len(rows) == ddcodec.info(path)["classes"]


def test_a_card_says_what_the_file_says() -> None:
    path = next(path for path in RESULTS if path.stem == "cifar10-1.0")
    facts, text = ddcodec.info(path), card(published(path))
    for words in (
        "42.6 ± 0.7 %",
        "8 networks, mean and standard deviation, each from scratch",
        "| trained for | 100 steps on this file alone |",
        "10,000 real images of cifar10",
        "convnet, 3 blocks of 64, instance norm",
        "| poster | 25,189 | 91.6 % |",
        "## What it must not be used for",
        facts["provenance"]["command"],
        f"Content digest of the file: `{facts['content_digest']}`",
        "![What the file holds](preview.png)",
        "https://arxiv.org/abs/2403.12040",
    ):
        assert words in text
    assert "The file states none." in text
    # The steps of the recipe have a row of their own only where they are others.
    assert "| steps |" not in text
    recipe = facts["recipe"] | {"steps": 70}
    subject = published(path)
    other = replace(subject, manifest=replace(subject.manifest, recipe=recipe))
    assert "| steps | 70 |" in card(other)


def test_a_card_says_that_a_network_labels_views() -> None:
    said = re.search(
        r"A network is in the file, a (\S+) of ([\d,]+) bytes, and labels every "
        r"augmented view\.",
        card(published(VECTORS / "lic-teacher-live.ddset")),
    )
    assert said is not None
    labels = ddcodec.info(VECTORS / "lic-teacher-live.ddset")["labels"]
    assert said[1].split("-")[0] == labels["architecture"]
    assert "network is in the file" not in card(published(VECTORS / "lic-teacher-convnet3.ddset"))


def test_of_a_file_made_from_the_bundled_digits_the_card_has_the_licence_of_these() -> None:
    path = next(path for path in RESULTS if path.stem == "digits-0.9")
    subject = published(path)
    terms = "https://doi.org/10.24432/C50P49, under CC BY 4.0."
    assert terms in card(subject)

    def made(**changes: Any) -> str:
        source = subject.manifest.source | changes
        return card(replace(subject, manifest=replace(subject.manifest, source=source)))

    scaled = sources.load("digits", size=16).digest()[:32]
    assert terms in made(size=16, digest=scaled)
    # Others may call theirs so, too; and nobody's page takes minutes to make.
    assert terms not in made(digest="0" * 32)
    assert terms not in made(size=16)
    assert terms not in made(size=4096, digest=scaled)
    assert terms not in made(name="letters")


def test_long_lists_of_classes_are_cut(make: Callable[..., Path]) -> None:
    subject = published(make())
    assert subject.class_names(3) == "ant, bee, zebra"
    assert subject.class_names(2) == "ant, bee and 1 more"


@pytest.mark.parametrize(
    ("samples", "size"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (10**5, "100K<n<1M")],
)
def test_a_card_says_how_many_samples_there_are(samples: int, size: str) -> None:
    assert metadata(replace(published(RESULTS[0]), samples=samples))["size_categories"] == [size]


def test_the_lines_that_load_a_file_are_three_and_pinned() -> None:
    path = RESULTS[0]
    block = re.search(r"```python\n(.*?)\n```", card(published(path)), re.DOTALL)
    assert block is not None
    lines = block[1].splitlines()
    assert len(lines) == 3
    ast.parse(block[1])
    digest = ddcodec.info(path)["content_digest"]
    assert lines[2] == (
        f'ds = ddcodec.load("hf://datasets/some-one/sets/{path.name}#content={digest}")'
    )
    local = card(subject_of(path))
    assert f'ds = ddcodec.load("{path.name}")' in local


def test_without_a_measurement_the_card_claims_none(make: Callable[..., Path]) -> None:
    text = card(published(make()))
    assert "Nobody has recorded an accuracy" in text
    assert "not measured" in croissant(published(make()))["description"]
    one = {"accuracy_mean": 0.5, "accuracy_std": 0.0, "nets": 1, "steps": 5, "test": "zoo"}
    text = card(published(make(measured=one | {"test_count": 9})))
    assert "50.0 %" in text
    assert "| over | one network, from scratch |" in text


def test_a_card_says_what_other_networks_learn(make: Callable[..., Path]) -> None:
    text = card(published(make(**several_networks())))
    assert "| transfer | 50.0 %, mean of 3 other networks: convnet3 25.0 %, " in text
    assert "transfer" not in card(published(make(measured=several_networks()["measured"])))


def test_text_of_a_stranger_stays_text(make: Callable[..., Path]) -> None:
    path = make(
        classes=(HOSTILE, "bee", "zebra"),
        source={"name": HOSTILE, "split": "train", "count": 30, "digest": "0" * 32},
        provenance={"tool": HOSTILE, "command": f"ddcodec {'`' * 5} {HOSTILE}", "seed": 0},
        license=HOSTILE,
    )
    text = card(published(path))
    assert hub_cards.faults(text) == []
    assert hub_cards.metadata(text)["pretty_name"].startswith(HOSTILE)
    outside = re.sub(r"(?s)^(`{3,})\w*\n.*?\n\1$", "", text.partition("\n---\n")[2], flags=re.M)
    for markup in ("<script", "[x](", "![y]", "://evil", " `code"):
        assert markup not in outside
    assert json.loads(json.dumps(croissant(published(path))))["name"].startswith(HOSTILE)


@given(st.text("ab`*_[]()<>|~$#!\\:/.@w \n&é", max_size=40))
def test_escaped_text_has_no_markup(text: str) -> None:
    out = escaped(text)
    assert "<" not in out
    assert "://" not in out
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]|~$]", out)


@given(st.text("aZ09 :-#'\"\\{}[],&*!|>%@`é漢😀\u00a0?", max_size=60))
def test_yaml_gives_the_same_text_back(text: str) -> None:
    fields = {"name": text, "tags": [text, "a"], "configs": [{"name": text, "files": [text]}]}
    assert yaml.safe_load(front_matter(fields).strip("-\n")) == fields


def test_a_fence_is_longer_than_what_is_in_it() -> None:
    assert fenced("a", "sh") == "```sh\na\n```"
    assert fenced("a ```` b", "sh") == "`````sh\na ```` b\n`````"


@pytest.mark.parametrize(
    ("given_licence", "fields"),
    [
        (None, {"license": "unknown"}),
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("GPL-3.0-or-later", {"license": "gpl-3.0"}),
        ("ODbL-1.0", {"license": "odbl"}),
        ("MIT AND CC0-1.0", {"license": "other", "license_name": "mit-and-cc0-1.0"}),
        ("¿", {"license": "other", "license_name": "unnamed"}),
        ("other", {"license": "other", "license_name": "other"}),
    ],
)
def test_a_licence_gets_the_hubs_name(given_licence: str | None, fields: dict[str, str]) -> None:
    assert hub_licence(given_licence) == fields
    assert fields["license"] in HUB_LICENCES


def test_croissant_says_where_a_file_is_and_its_licence(make: Callable[..., Path]) -> None:
    found = croissant(published(make(license="MIT")))
    assert found["license"] == "https://spdx.org/licenses/MIT.html"
    assert found["url"] == "https://huggingface.co/datasets/some-one/sets"
    assert found["publisher"]["name"] == "some-one"
    assert "license" not in croissant(published(make(license=None)))


def test_a_licence_leads_to_its_page() -> None:
    assert licence_page("CC-BY-4.0") == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert licence_page("for friends") == "for friends"


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.ddset")), ids=lambda path: path.stem)
def test_every_valid_file_has_a_card(path: Path) -> None:
    assert hub_cards.faults(card(published(path))) == []
    assert croissant(published(path))["recordSet"]


def test_every_method_says_where_it_was_published() -> None:
    papers = {name: codec.papers for name, codec in CODECS.items()}
    assert papers["podd"][0].arxiv == "2403.12040"
    assert papers["images"] == ()
    assert all(isinstance(paper, Paper) for some in papers.values() for paper in some)
    assert Paper("A", "B", "https://openreview.net/forum?id=1").arxiv is None


def test_a_page_has_all_that_is_published(make: Callable[..., Path], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "page"
    folder.mkdir()
    subject = write_page(make(), folder, repo="some-one/zoo", with_file=True)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"README.md", "croissant.json", "preview.png", "zoo.ddset", SIDECAR}
    table = parquet.read_table(folder / SIDECAR)
    assert table.num_rows == subject.samples == 8
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["label"]["names"] == ["ant", "bee", "zebra"]
    assert features["soft_label"]["length"] == 3
    stated = json.loads((folder / "croissant.json").read_text())["distribution"]
    assert [one["sha256"] for one in stated] == [
        Stored.of(folder, "zoo.ddset").sha256,
        Stored.of(folder, SIDECAR).sha256,
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the library itself
def test_the_sidecar_is_read_by_croissants_own_library(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    library = pytest.importorskip("mlcroissant")
    pytest.importorskip("pyarrow")
    folder = tmp_path / "page"
    folder.mkdir()
    path = make()
    write_page(path, folder)
    ds = ddcodec.load(path)
    rows = list(library.Dataset(jsonld=folder / "croissant.json").records("samples"))
    assert [row["samples/label"] for row in rows] == ds.soft_labels.argmax(1).tolist()
    assert rows[0]["samples/image"].size == (4, 4)
    assert [float(x) for x in rows[3]["samples/soft_label"]] == ds.soft_labels[3].tolist()


def test_the_sidecar_is_read_by_the_hubs_data_sets(
    make: Callable[..., Path], tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "page"
    folder.mkdir()
    path = make()
    write_page(path, folder)
    rows = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"]
    assert rows.features["label"].names == ["ant", "bee", "zebra"]
    assert rows[3]["soft_label"] == ddcodec.load(path).soft_labels[3].tolist()
    assert rows[0]["image"].size == (4, 4)


def test_a_file_that_needs_a_model_gets_a_card_without_a_picture(tmp_path: Path) -> None:
    path = next(path for path in VECTORS.glob("*.ddset") if ddcodec.info(path)["external"])
    subject = write_page(path, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "croissant.json"]
    assert subject.sidecar is None
    text = (tmp_path / "README.md").read_text()
    assert "made by a model that is not in the file" in text
    assert "configs" not in hub_cards.metadata(text)
    assert len(croissant(subject)["recordSet"]) == 1


def test_a_damaged_file_is_not_published(make: Callable[..., Path], tmp_path: Path) -> None:
    path = make()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    folder = tmp_path / "page"
    folder.mkdir()
    with pytest.raises(ddcodec.InvalidFile, match="digest"):
        write_page(path, folder)
    # Nor one whose content nobody decodes for its page.
    model = next(path for path in VECTORS.glob("*.ddset") if ddcodec.info(path)["external"])
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ddcodec.InvalidFile, match="digest"):
        write_page(path, folder)
    assert list(folder.iterdir()) == []


def test_a_set_of_others_names_its_paper_and_what_its_authors_state(
    make: Callable[..., Path],
) -> None:
    stated = {"accuracy": 0.265, "network": "ConvNet-3"}
    first = {"cite": "arXiv:2006.05929v3", "url": "https://example.org/set", "stated": stated}
    subject = published(make(ignorable={"published": first}))
    text = card(subject)
    assert "arxiv:2006.05929" in hub_cards.metadata(text)["tags"]
    assert "| stated by the set's authors | 26.5 %, ConvNet-3 |" in text
    assert "- The set: https://arxiv.org/abs/2006.05929v3" in text
    assert "<https://example.org/set>" in text
    assert croissant(subject)["sameAs"] == "https://example.org/set"
    assert croissant(subject)["citeAs"].startswith("https://arxiv.org/abs/2006.05929v3; ")


@pytest.mark.parametrize(
    "found",
    [
        "text",
        {"cite": "arXiv:1 [x](y)", "url": "javascript:alert(1)", "stated": [1]},
        {"cite": 1, "url": "https://a b", "stated": {"accuracy": 2, "network": 3}},
    ],
)
def test_what_is_no_statement_is_passed_over(make: Callable[..., Path], found: object) -> None:
    assert published(make(ignorable={"published": found})).published == Published()
