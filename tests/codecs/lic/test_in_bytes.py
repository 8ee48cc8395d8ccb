"""A file of so many bytes: never larger, nearly as large, and all that was said is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import features

import ddcodec
from ddcodec import LIC, encode
from ddcodec.codecs.lic import in_bytes, own_network
from ddcodec.errors import CheckpointMismatch, OutputError, SourceError, UsageError
from ddcodec.format import Manifest, read, read_manifest
from ddcodec.observers.file import load as load_observer
from ddcodec.sources import Source
from ddcodec.sources.split import Split
from tests.helpers.lic_runs import groups_made
from tests.helpers.reporters import Notes


class Told(Notes):
    """Keeps results too."""

    def result(self, text: str) -> None:
        self.said.append(text)


class StopIn(Notes):
    """Interrupts at the first step of a stage."""

    def __init__(self, name: str, after: int = 1) -> None:
        super().__init__()
        self._name, self._left, self._now = name, after, ""

    def stage(self, name: str, steps: int) -> None:
        self._now = name

    def step(self, done: int, loss: float | None = None) -> None:
        self._left -= self._now == self._name
        if not self._left:
            raise KeyboardInterrupt


def run(source: Source, out: Path, total: int, **options: Any) -> Manifest:
    """Encode for a moment: a network of half an epoch where none is given."""
    settings: dict[str, Any] = {"labels": "live", "device": "cpu", "total_bytes": total}
    if "observer" not in options and "time" not in options:
        settings["epochs"] = 0.5
    return encode(source, out, "lic", **settings | options)


def words_of(manifest: Manifest) -> list[str]:
    command: str = manifest.provenance["command"]
    return command.split()


def colour(classes: int, per_class: int = 12, side: int = 24) -> Source:
    """Return smooth patterns in colour, a kind for each class."""
    random = np.random.default_rng(classes)
    labels = np.repeat(np.arange(classes), per_class)
    y, x = np.mgrid[:side, :side] / side
    waves = random.normal(0, 6, (classes, 3, 2))[labels] + random.normal(0, 1, (len(labels), 3, 2))
    phase = random.uniform(0, 6, (len(labels), 3))
    angle = np.einsum("ncd,dhw->nhwc", waves, np.stack([y, x])) + phase[:, None, None]
    images = (127 + 100 * np.sin(angle) + random.normal(0, 6, angle.shape)).clip(0, 255)
    split = Split(images.astype(np.uint8), labels.astype(np.int64))
    names = tuple(f"kind {index}" for index in range(classes))
    return Source("colour", names, {"train": lambda: split})


def test_digits_fill_their_bytes_with_pictures_and_a_network(
    digits: Source, tmp_path: Path
) -> None:
    heard = Told()
    manifest = run(digits, tmp_path / "a.ddset", 6000, reporter=heard)
    size = (tmp_path / "a.ddset").stat().st_size
    assert 5700 < size <= 6000
    assert ddcodec.verify(tmp_path / "a.ddset") == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.ddset"]
    assert manifest.labels["live"] is True
    assert manifest.labels["temperature"] == 1.5
    assert manifest.codec["params"]["cells"] == [1, 1]
    best = "avif" if features.check("avif") else "webp"
    assert manifest.tensors["images"].coder == best
    network, chosen = heard.said[-2:]
    assert network.startswith(f"network: residual-{manifest.labels['size']}, ")
    assert chosen.endswith(f": {size:,} of 6,000 bytes")
    ds = ddcodec.load(tmp_path / "a.ddset")
    assert ds.teacher is not None
    assert len(ds) >= 50


def test_the_recorded_command_makes_the_file_again_and_another_seed_another(
    digits: Source, tmp_path: Path
) -> None:
    first = run(digits, tmp_path / "a.ddset", 5000, time=1e-3)
    words = words_of(first)
    assert "--time" not in words
    assert words[words.index("--bytes") + 1] == "5000"
    epochs = float(words[words.index("--epochs") + 1])
    assert epochs == 0.1  # a step of ten
    again = run(digits, tmp_path / "b.ddset", 5000, epochs=epochs)
    assert again.content_digest == first.content_digest
    assert (tmp_path / "a.ddset").read_bytes() == (tmp_path / "b.ddset").read_bytes()
    other = run(digits, tmp_path / "c.ddset", 5000, epochs=epochs, seed=1)
    assert other.content_digest != first.content_digest


@pytest.mark.parametrize(
    ("classes", "total"),
    [(3, 5000), (7, 8000), pytest.param(43, 9000, marks=pytest.mark.slow)],
)
def test_any_number_of_classes_in_colour(classes: int, total: int, tmp_path: Path) -> None:
    run(colour(classes), tmp_path / "x.ddset", total)
    assert 0.9 * total <= (tmp_path / "x.ddset").stat().st_size <= total
    assert ddcodec.verify(tmp_path / "x.ddset") == []


def test_a_network_takes_its_share_and_what_images_leave(tmp_path: Path) -> None:
    source = colour(3)
    run(source, tmp_path / "few.ddset", 9000)
    _, sizes = read_manifest(tmp_path / "few.ddset")
    network = sizes.tensors["label_weights"] + sizes.tensors["label_affine"]
    assert 0.3 * 9000 < network < 0.45 * 9000
    source, heard = colour(3, per_class=2), Told()
    run(source, tmp_path / "all.ddset", 11_000, images="webp=30", reporter=heard)
    _, sizes = read_manifest(tmp_path / "all.ddset")
    assert sizes.tensors["label_weights"] > 0.6 * 11_000
    assert heard.said[-1].startswith("2 a class at quality 30: 10,")


def test_images_that_run_out_are_said_to(
    digits: Source, observer_file: Path, tmp_path: Path
) -> None:
    few = np.concatenate([np.flatnonzero(digits.train.labels == label)[:2] for label in range(10)])
    split, heard = Split(digits.train.images[few], digits.train.labels[few]), Notes()
    source = Source("few", digits.classes, {"train": lambda: split})
    settings = {"observer": observer_file, "labels": "class", "squeeze": 1, "compensate": False}
    run(source, tmp_path / "x.ddset", 9000, reporter=heard, **settings)
    assert heard.said[-1].endswith("stay free: the smallest class has no more images")
    assert len(read(tmp_path / "x.ddset").arrays["images"]) == 20


def test_what_is_said_is_kept(digits: Source, tmp_path: Path) -> None:
    exact = run(digits, tmp_path / "a.ddset", 5000, images="zstd")
    assert exact.tensors["images"].coder == "zstd"
    assert 4500 < (tmp_path / "a.ddset").stat().st_size <= 5000
    other = run(
        digits, tmp_path / "b.ddset", 4000, images="webp=40", squeeze=4, steps=1, temperature=3.0,
        select="loss", candidates=20,
    )  # fmt: skip
    assert other.tensors["images"].coder == "webp"
    assert other.labels["temperature"] == 3
    assert other.codec["params"]["cells"] == [2, 2]
    assert 3600 < (tmp_path / "b.ddset").stat().st_size <= 4000
    words = words_of(other)
    assert "--no-compensate" not in words
    for flag, value in (("--squeeze", "4"), ("--steps", "1"), ("--images", "webp=40")):
        assert words[words.index(flag) + 1] == value
    assert words[words.index("--select") + 1] == "loss"


def test_an_interrupted_training_and_encode_go_on(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddcodec.runtime.steps.SNAPSHOT_SECONDS", 0.0)
    whole = run(digits, tmp_path / "a.ddset", 5000, epochs=1)
    out, folder = tmp_path / "b.ddset", tmp_path / "b.ddset.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        run(digits, out, 5000, epochs=1, reporter=StopIn("observer", after=3))
    assert (folder / "network.safetensors.checkpoint").exists()
    assert not out.exists()
    with pytest.raises(OutputError, match="holds an unfinished run"):
        run(digits, out, 5000, epochs=1)
    for other in ({"epochs": 2}, {"seed": 1}, {"squeeze": 4}):
        with pytest.raises(CheckpointMismatch, match="belongs to a run with another source"):
            run(digits, out, 5000, resume=True, **{"epochs": 1} | other)
    with pytest.raises(KeyboardInterrupt):
        run(digits, out, 5000, epochs=1, resume=True, reporter=StopIn("mosaics"))
    assert (folder / "network.safetensors").exists()
    monkeypatch.setattr(own_network, "train", None)  # it is there
    resumed = run(digits, out, 5000, epochs=1, resume=True)
    assert resumed.content_digest == whole.content_digest
    assert out.read_bytes() == (tmp_path / "a.ddset").read_bytes()
    assert not folder.exists()


def test_files_that_were_tried_are_not_tried_again(
    digits: Source, observer_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, settings = tmp_path / "x.ddset", {"observer": observer_file, "labels": "class", "steps": 1}
    monkeypatch.setattr(in_bytes, "HEADER", 400)  # so that what is tried first is too large
    first: list[str] = []

    def stopped(path: Path, out: Path) -> None:
        first.extend(sorted(each.name for each in path.parent.glob("*.ddset")))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(in_bytes, "_copy", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(digits, out, 5000, **settings)
    assert len(first) > 1
    made = groups_made(monkeypatch)
    run(digits, out, 5000, resume=True, **settings)
    assert made == []
    assert out.stat().st_size <= 5000


@pytest.mark.parametrize("more", [{}, {"images": "zstd"}, {"labels": "class"}])
def test_too_few_bytes_say_how_many_it_takes(
    digits: Source, observer_file: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    if "labels" in more:
        more = {**more, "observer": observer_file, "steps": 1}
    out = tmp_path / "x.ddset"
    with pytest.raises(UsageError, match="`total_bytes`=900 is too few: the smallest") as caught:
        run(digits, out, 900, **more)
    assert list(tmp_path.iterdir()) == []
    needed = int(str(caught.value).split()[-1])
    run(digits, out, needed + 60, **more)
    assert out.stat().st_size <= needed + 60


def test_a_network_that_is_given_is_the_one_in_the_file(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tmp_path / "o.safetensors"
    own_network.train(digits, "residual-12", network, epochs=0.2)
    monkeypatch.setattr(own_network, "train", None)
    manifest = run(digits, tmp_path / "b.ddset", 5000, observer=network)
    assert 4500 < (tmp_path / "b.ddset").stat().st_size <= 5000
    digest = load_observer(network).digest
    assert manifest.provenance["observer"] == {"architecture": "residual-12", "digest": digest[:32]}
    assert "--observer o.safetensors" in manifest.provenance["command"]
    assert "--epochs" not in words_of(manifest)


@pytest.mark.parametrize("labels", ["auto", "top=3", "class"])
def test_with_stored_labels_one_more_a_class_would_be_too_many(
    digits: Source, observer_file: Path, tmp_path: Path, labels: str
) -> None:
    settings: dict[str, Any] = {"observer": observer_file, "labels": labels, "compensate": False}
    manifest = run(digits, tmp_path / "a.ddset", 9000, **settings)
    assert (tmp_path / "a.ddset").stat().st_size <= 9000
    assert manifest.codec["params"]["cells"] == [2, 2]
    assert manifest.tensors["images"].coder == "zstd"
    more = manifest.tensors["images"].shape[0] // 10 + 1
    encode(digits, tmp_path / "b.ddset", "lic", ipc=more, device="cpu", **settings)
    assert (tmp_path / "b.ddset").stat().st_size > 9000


def test_the_network_in_the_file_may_label_plain_images_alone(
    digits: Source, observer_file: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"labels": "embed-teacher", "compensate": False, "squeeze": 1}
    settings |= {"observer": observer_file, "images": "webp=50"}
    encode(digits, tmp_path / "a.ddset", "lic", ipc=1, device="cpu", **settings)
    total = (tmp_path / "a.ddset").stat().st_size + 2000
    manifest = run(digits, tmp_path / "b.ddset", total, **settings)
    assert total - 200 < (tmp_path / "b.ddset").stat().st_size <= total
    assert manifest.tensors["images"].shape[0] > 50


def test_without_avif_it_is_webp_and_said(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = features.check
    monkeypatch.setattr(features, "check", lambda name: name != "avif" and check(name))
    heard = Notes()
    manifest = run(digits, tmp_path / "x.ddset", 6000, reporter=heard)
    assert manifest.tensors["images"].coder == "webp"
    assert heard.said[0].startswith("this Pillow has no AVIF")
    assert "--images webp " in manifest.provenance["command"] + " "


@pytest.mark.slow
def test_large_sets_are_measured_by_some_of_their_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = colour(30, per_class=6, side=16)
    monkeypatch.setattr("ddcodec.codecs.lic.expected.LOOKED_AT", 5000)
    monkeypatch.setattr("ddcodec.codecs.lic.params.GROUP", 4)
    monkeypatch.setattr("ddcodec.codecs.lic.params.PICTURE_PIXELS", 0)
    run(source, tmp_path / "x.ddset", 16_000)
    assert 14_400 <= (tmp_path / "x.ddset").stat().st_size <= 16_000


def test_a_class_without_enough_images_for_a_mosaic_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="class 'kind 0' has 3 training images, one mosaic"):
        run(colour(3, per_class=3), tmp_path / "x.ddset", 9000, squeeze=4)
    assert list(tmp_path.iterdir()) == []


def test_what_no_network_learns_from_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="an observer needs at least two training images"):
        run(colour(1, per_class=1), tmp_path / "x.ddset", 9000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"observer": "o"}, "give `ipc`, a whole number of mosaics per class, or `total_bytes`"),
        ({"ipc": 1, "total_bytes": 1, "observer": "o"}, "give `ipc` or `total_bytes`, not both"),
        ({"ipc": 1, "labels": "live"}, "only `labels`=live with `total_bytes` trains one itself"),
        ({"total_bytes": 1}, "`observer` must be given"),
        ({"total_bytes": 1, "labels": "class", "observer": "o", "time": 9.0}, "`time` is for"),
        ({"total_bytes": 1, "labels": "live", "observer": "o", "epochs": 9}, "`epochs` is for"),
        ({"ipc": 1, "observer": "o", "time": 9.0}, "`time` is for"),
        ({"total_bytes": 1, "labels": "live", "time": 9.0, "epochs": 2}, "`time` or `epochs`, not"),
        ({"ipc": 1, "observer": "o", "images": "avif"}, "`images` must be zstd, webp=Q or avif=Q"),
        ({"total_bytes": 1, "labels": "live", "images": "png"}, "`images` must be"),
        ({"total_bytes": 1, "labels": "live", "compensate": False, "steps": 2}, "`steps` counts"),
    ],
)
def test_options_that_do_not_go_together_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        LIC(**given)
