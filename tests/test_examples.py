"""Every example runs as it stands, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddcodec import info

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def percent(line: str) -> float:
    found = re.search(r"([\d.]+)(?: ± [\d.]+)? %", line)
    assert found, line
    return float(found[1])


def test_train_on_ddset(digits_file: Path, tmp_path: Path) -> None:
    done = run("train_on_ddset.py", digits_file, "digits", "--steps", 60, cwd=tmp_path)
    assert done.stderr == ""
    assert "18 distilled images, 60 steps" in done.stdout
    assert percent(done.stdout) > 60  # chance is 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three colours of 8 x 8 images with noise, as an ImageFolder."""
    random = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for index, name in enumerate(("red", "green", "blue")):
            place = tmp_path / "photos" / split / name
            place.mkdir(parents=True)
            for i in range(count):
                image = random.integers(0, 120, (8, 8, 3), dtype=np.uint8)
                image[..., index] += 110
                Image.fromarray(image).save(place / f"{i}.png")
    return tmp_path / "photos"


def test_encode_your_images(folder: Path, tmp_path: Path) -> None:
    done = run("encode_your_images.py", "photos", "--steps", 4, cwd=tmp_path)
    assert done.stderr == ""
    assert "24 images of 3 classes" in done.stdout
    assert percent(done.stdout.splitlines()[-1]) > 80  # chance is 33
    assert info(tmp_path / "photos.ddset")["classes"] == 3


def test_encode_your_images_names_what_is_wrong(tmp_path: Path) -> None:
    done = run("encode_your_images.py", "nowhere", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_ablation(tmp_path: Path) -> None:
    words = ("digits", "--steps", 6, "--seeds", 1, "--nets", 1, "--groups", "patches", "in all")
    rows = ("--rows", "10x2", "in the bytes of 3")
    done = run("ablation.py", *words, *rows, "-o", "table.md", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    (grid,) = re.findall(
        r"^\| 10x2 \| `--patches 10x2` \| [\d.]+ \| 250 \| [\d,]+ \|$",
        text,
        re.MULTILINE,
    )
    (bytes_of_one,) = re.findall(
        r"^\| one poster in the bytes of 3 stages \| `--bytes BYTES .* ([\d,]+) \|$",
        text,
        re.MULTILINE,
    )
    (staged,) = (file for file in (tmp_path / "ablation").glob("*.ddset") if "stages" in file.name)
    limit = staged.stat().st_size
    assert 0.9 * limit < int(bytes_of_one.replace(",", "")) <= limit
    again = run("ablation.py", *words, *rows, cwd=tmp_path)
    assert again.stderr == ""  # nothing is measured twice
    assert grid in again.stdout


def test_read_ddset(digits_file: Path, tmp_path: Path) -> None:
    done = run("read_ddset.py", digits_file, cwd=tmp_path)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "10 classes, 570 pixels"
    assert len(lines) == 19


def test_read_ddset_needs_nothing_of_ddcodec(digits_file: Path, tmp_path: Path) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['read_ddset.py', {str(digits_file)!r}]\n"
        f"runpy.run_path({str(EXAMPLES / 'read_ddset.py')!r}, run_name='__main__')\n"
        "print('loaded', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"loaded", "numpy", "zstandard"} <= loaded
    assert not loaded & {"ddcodec", "ddcodec_cli", "torch", "safetensors", "PIL"}


def test_attacks_are_refused_with_a_code_each(tmp_path: Path) -> None:
    done = run("attacks/attacks.py", cwd=tmp_path)
    assert done.stderr == ""
    shown = dict(re.findall(r"^(\w+): .*\n    .*\n    (DDS-E\d+) ", done.stdout, re.MULTILINE))
    assert shown == {
        "header_that_never_ends": "DDS-E002",
        "two_faces": "DDS-E003",
        "bottomless_brackets": "DDS-E003",
        "zip_bomb": "DDS-E021",
        "poster_beyond_memory": "DDS-E040",
        "a_patch_at_every_pixel": "DDS-E040",
        "path_as_a_name": "DDS-E008",
        "pickle_in_disguise": "DDS-E002",
        "message_that_draws": "DDS-E011",
        "one_flipped_bit": "DDS-E030",
    }
