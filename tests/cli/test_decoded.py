"""``train``, ``preview`` and ``decode`` on a real file, and the demo."""

from __future__ import annotations

import base64
import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ddcodec_cli.networks import network_table
from ddcodec_cli.train import BASELINE_TITLES, baseline_table, describe, verdict
from PIL import Image

import ddcodec
from ddcodec import sources
from ddcodec.evaluate.baselines import ahead_of, stored_pixels
from tests.helpers import vectors

Run = Callable[..., Any]
SHORT = ("--nets", "2", "--steps", "3", "--device", "cpu")


def test_train_reports_mean_and_std_on_the_source_named_in_the_file(
    run: Run, digits_file: Path
) -> None:
    outcome = run("train", digits_file, *SHORT, "--quiet")
    assert (outcome.code, outcome.err) == (0, "")
    assert " test images of digits: mean ± std of 2 networks, 3 steps each" in outcome.out


def test_train_json_has_every_promised_field(run: Run, digits_file: Path) -> None:
    report = json.loads(run("train", digits_file, *SHORT, "--json").out)
    assert report["nets"] == 2
    assert report["steps"] == 3
    assert report["seconds"] > 0
    assert report["baselines"] is None
    assert 0 <= report["accuracy_mean"] <= 1
    assert 0 <= report["accuracy_std"] <= 1
    again = json.loads(run("train", digits_file, *SHORT, "--json").out)
    assert again["accuracy_mean"] == report["accuracy_mean"]


@pytest.mark.usefixtures("few_steps")
def test_train_shows_baselines_beside_the_file(
    run: Run, digits_file: Path, observer_file: Path
) -> None:
    words = ("train", digits_file, *SHORT, "--baselines", "--observer", observer_file, "--json")
    outcome = run(*words)
    assert outcome.code == 0
    report = json.loads(outcome.out)
    titles = {k: v for k, v in BASELINE_TITLES.items() if k != "random_images_file_network"}
    assert set(report["baselines"]) == set(titles)
    lines = describe(report).splitlines()
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["trained", "on", "accuracy", "pixels", "bytes"]
    assert [line.split("  ")[0] for line in table[2:-2]] == ["this file", *titles.values()]
    above = {
        name
        for name, entry in report["baselines"].items()
        if entry["accuracy_mean"] > report["accuracy_mean"]
    }
    assert set(report["baselines_ahead"]) == above - {"full_data"}
    assert table[-1] == verdict(report)


def test_a_line_says_what_is_better_than_the_file_and_a_row_what_does_not_fit() -> None:
    entries = {
        name: {"accuracy_mean": mean, "accuracy_std": 0.01, "pixels": 0, "bytes": 10}
        for name, mean in (
            ("class_means_same_bytes", 0.6),
            ("quantised_network_same_bytes", None),
            ("random_images_same_bytes", 0.7),
            ("full_data", 0.9),
        )
    }
    report = {"accuracy_mean": 0.5, "accuracy_std": 0.01, "pixels": 1, "bytes": 10}
    report |= {"baselines": entries, "baselines_ahead": ahead_of(0.5, entries)}
    *rows, _, said = baseline_table(report, alone=False).splitlines()
    assert said == (
        "Better than this file (50.0 %): random real images, same bytes (70.0 %); "
        "class means, same bytes (60.0 %)."
    )
    assert rows[-2].split("  ")[0] == "no training: a quantised network, same bytes"
    assert "does not fit" in rows[-2]
    report["baselines_ahead"] = ahead_of(0.95, entries)
    assert verdict(report) == "Nothing here in the same pixels or bytes is better than this file."


def test_preview_writes_a_picture(run: Run, tmp_path: Path, digits_file: Path) -> None:
    outcome = run("preview", digits_file)
    assert (outcome.code, outcome.out) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["digits.png"]
    with Image.open(tmp_path / "digits.png") as picture:
        picture.load()
        assert outcome.error_line == f"digits.png: {picture.width} x {picture.height} pixels"
        assert picture.format == "PNG"


def test_preview_writes_a_page_with_the_file_inside(
    run: Run, tmp_path: Path, digits_file: Path
) -> None:
    outcome = run("preview", digits_file, "--html")
    assert (outcome.code, outcome.out) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["digits.html"]
    text = (tmp_path / "digits.html").read_text("utf-8")
    assert outcome.error_line == f"digits.html: {len(text.encode()):,} bytes, the file inside"
    assert base64.b64encode(digits_file.read_bytes()).decode() in text
    assert run("preview", digits_file, "--html").code == 5
    assert run("preview", digits_file, "--html", "-f").code == 0


def test_a_page_needs_no_torch(tmp_path: Path) -> None:
    file = vectors.FOLDER / "valid" / "podd-colour.ddset"
    code = (
        "import sys; from ddcodec_cli.app import main; "
        f"code = main(['preview', {str(file)!r}, '--html']); "
        "sys.exit(code or int('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def test_npz_holds_exactly_what_load_gives_and_needs_no_pickle(
    run: Run, tmp_path: Path, digits_file: Path
) -> None:
    assert run("decode", digits_file, "--to", "npz", "-o", "out").code == 0
    ds = ddcodec.load(digits_file)
    with np.load(tmp_path / "out" / "data.npz", allow_pickle=False) as data:
        assert data["images"].dtype == data["labels"].dtype == np.float32
        assert len(data["images"]) == len(ds)
        for index in range(len(ds)):
            image, label = ds[index]
            assert np.array_equal(data["images"][index], image.numpy())
            assert np.array_equal(data["labels"][index], label.numpy())
        assert tuple(data["class_names"]) == tuple(ds.classes)
        manifest = json.loads(str(data["manifest"]))
    assert manifest["codec"]["name"] == "podd"


def test_tensors_for_ddranking_come_with_the_number_of_images_of_a_class(
    run: Run, tmp_path: Path, digits_file: Path
) -> None:
    def told(path: Path) -> list[str]:
        outcome = run("decode", path, "--to", "ddranking", "-o", "out", "-f")
        assert (outcome.code, outcome.out) == (0, "")
        names = {file.name for file in (tmp_path / "out").iterdir()}
        tensors = {"images.pt", "soft_labels.pt", "hard_labels.pt", "lr.pt"}
        assert names == {*tensors, "manifest.json"}
        return [line for line in outcome.err.splitlines() if line.startswith("out: ")]

    ds = ddcodec.load(digits_file)
    counts = np.bincount(ds.soft_labels.argmax(1).numpy(), minlength=10)
    said = f"{len(ds)} images in class order; {counts.min()} to {counts.max()} of each class: give "
    assert told(digits_file)[0].startswith(f"out: {said}hard_labels")
    ddcodec.pack(np.zeros((4, 1, 8, 8), np.uint8), np.array([1, 0, 0, 1]), ["a", "b"], "x.ddset")
    assert told(tmp_path / "x.ddset") == ["out: 4 images in class order; ipc=2"]
    weighted = told(vectors.FOLDER / "valid" / "ppodd-stages.ddset")
    assert weighted[-1].endswith("the weights of F are left out")


def test_an_image_folder_keeps_pictures_in_class_folders_and_all_soft_labels(
    run: Run, tmp_path: Path, digits_file: Path
) -> None:
    outcome = run("decode", digits_file, "--to", "imagefolder", "-o", "out")
    assert outcome.code == 0
    assert "8-bit images are rounded" in outcome.error_line
    ds = ddcodec.load(digits_file)
    with (tmp_path / "out" / "labels.csv").open(newline="", encoding="utf-8") as text:
        header, *rows = csv.reader(text)
    assert header == ["file", *ds.classes]
    assert len(rows) == len(ds)
    for index, (name, *values) in enumerate(rows):
        image, label = ds[index]
        assert np.array_equal(np.array(values, dtype=np.float32), label.numpy())
        assert Path(name).parts[1] == ds.classes[int(label.argmax())]
        with Image.open(tmp_path / "out" / name) as picture:
            pixels = np.asarray(picture)
        seen = ds.preprocess(pixels[None, :, :, None])[0]
        assert seen.shape == image.shape
        inside = (pixels > 0) & (pixels < 255)
        # Half a grey level, in the units of the preprocessed image.
        step = float(np.diff(ds.preprocess(gradient(*pixels.shape))[0].numpy().ravel()[:2])[0])
        error = np.abs((seen - image).numpy())[0]
        assert error[inside].max(initial=0) <= 0.51 * step


def gradient(height: int, width: int) -> np.ndarray:
    return np.arange(height * width, dtype=np.uint8).reshape(1, height, width, 1)


@pytest.mark.slow
def test_the_demo_tells_the_whole_story(run: Run, tmp_path: Path) -> None:
    outcome = run("demo", "--time", "2s", "--nets", "2", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    commands = [line for line in outcome.out.splitlines() if line.startswith("$ ")]
    assert [line.split()[2] for line in commands] == ["encode", "info", "preview", "train"]
    for word in ("pixels", "bytes", "bits per class", "±", "class means, same pixels"):
        assert word in outcome.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.ddset", "demo.png"]


@pytest.mark.slow
def test_the_commands_that_the_demo_prints_do_the_same(run: Run, tmp_path: Path) -> None:
    shown = run("demo", "--time", "1s", "--nets", "1", "--device", "cpu").out
    info = next(line for line in shown.splitlines() if line.startswith("$ ddcodec info"))
    text = run(*info.split()[2:]).out
    assert text in shown


def test_record_writes_the_accuracy_into_the_file(
    run: Run, tmp_path: Path, digits_file: Path
) -> None:
    mine = tmp_path / "mine.ddset"
    mine.write_bytes(digits_file.read_bytes())
    report = json.loads(run("train", mine, *SHORT, "--record", "--json").out)
    measured = json.loads(run("info", mine, "--json").out)["measured"]
    assert measured["accuracy_mean"] == pytest.approx(report["accuracy_mean"], abs=1e-4)
    assert (measured["nets"], measured["steps"], measured["test"]) == (2, 3, "digits")
    assert "2 networks" in run("info", mine).out
    assert run("verify", mine).code == 0
    again = json.loads(run("train", mine, *SHORT, "--json").out)
    assert again["accuracy_mean"] == report["accuracy_mean"]


def test_every_command_takes_a_file_of_images(run: Run, tmp_path: Path) -> None:
    source = sources.load("digits")
    labels = np.eye(10, dtype=np.float32)[source.train.labels[:40]]
    images = source.train.images[:40].transpose(0, 3, 1, 2)
    ddcodec.pack(images, labels, source.classes, tmp_path / "own.ddset", chunk=16)
    shown = run("info", "own.ddset")
    assert (shown.code, shown.err) == (0, "")
    assert "soft" in shown.out
    facts = json.loads(run("info", "own.ddset", "--json").out)
    assert (facts["pixels"], facts["ipc"]) == (40 * 64, 4)
    assert run("verify", "own.ddset").code == 0
    assert run("preview", "own.ddset").code == 0
    trained = run("train", "own.ddset", "--test", "digits", *SHORT, "--json")
    assert trained.code == 0, trained.err
    assert stored_pixels(ddcodec.load(tmp_path / "own.ddset")) == 40 * 64
    for layout in ("npz", "imagefolder", "parquet", "webdataset"):
        outcome = run("decode", "own.ddset", "--to", layout, "-o", layout)
        assert (outcome.code, outcome.error_line) == (0, f"{layout}: 40 images with soft labels")


def test_train_prints_one_table_of_networks(run: Run, digits_file: Path) -> None:
    words = ("train", digits_file, "--nets", "1", "--steps", "2", "--device", "cpu", "--arch")
    outcome = run(*words, "mlp,convnet3")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    head = "network norm this file steps optimiser, rate bytes time"
    assert lines[2].split() == head.split()
    assert [line.split()[:2] for line in lines[4:6]] == [["mlp", "none"], ["convnet3", "batch"]]
    assert [line[:11] for line in lines[6:8]] == ["its own, by", "its own, in"]
    assert re.fullmatch(
        r"transfer: [\d.]+ %, mean of 2 networks other than the file's own", lines[8]
    )
    report = json.loads(run(*words, "mlp", "--json").out)
    assert [row["network"] for row in report["networks"]] == ["mlp", "convnet2-in", "convnet2-in"]
    assert report["transfer"] == report["networks"][0]["accuracy_mean"]
    assert report["network"] == "recipe"


def test_train_without_other_networks_says_nothing_of_them(run: Run, digits_file: Path) -> None:
    report = json.loads(run("train", digits_file, *SHORT, "--json").out)
    assert not {"networks", "transfer"} & set(report)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--arch", "vgg"), "unknown architecture 'vgg'; known: convnet3"),
        (("--arch", "mlp,"), "unknown architecture ''; known: convnet3"),
    ],
)
def test_networks_that_train_cannot_take_are_refused(
    run: Run, digits_file: Path, more: tuple[str, ...], said: str
) -> None:
    wrong = run("train", digits_file, *SHORT, *more)
    assert wrong.code == 2
    assert said in wrong.error_line


def test_the_table_warns_where_real_images_teach_more() -> None:
    def row(network: str, mean: float, real: float | None) -> dict[str, Any]:
        beside = None if real is None else {"accuracy_mean": real, "accuracy_std": 0.01}
        return {
            "network": network, "norm": "batch", "kind": "network", "own": False,
            "accuracy_mean": mean, "accuracy_std": 0.01, "steps": 200, "optimizer": "adam",
            "lr": 0.001, "bytes": 1500, "seconds": 3.0, "random_images_same_bytes": beside,
        }  # fmt: skip

    rows = [row("resnet18", 0.2, 0.3), row("vit", 0.4, 0.3), row("mlp", 0.4, None)]
    text = network_table({"nets": 2, "networks": rows, "transfer": 1 / 3})
    assert text.splitlines()[-1].endswith("random real images of the same bytes: resnet18")
    assert "20.0 ± 1.0 %" in text
    assert "warning" not in network_table({"nets": 2, "networks": rows[1:], "transfer": None})
