"""A sweep on real digits: what it leaves, what it does not do twice, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddcodec import InvalidFile, OutputError, SourceError, UsageError, info
from ddcodec.errors import CheckpointMismatch
from ddcodec.sources import Source
from ddcodec.sweep import alternatives
from ddcodec.sweep.grid import Grid, Place, Settings, commands, identity
from ddcodec.sweep.record import NAMES, Entry, SweepRecord
from ddcodec.sweep.run import sweep

QUICK = {"profile": "quick", "steps": 2}
SETTINGS = Settings(encode=QUICK, nets=1, train_steps=3, device="cpu")
GRID = Grid((0.9, 0.4), ("bits=8", "bits=4"))
IMAGES = ("random_images_jpeg", "random_images_webp", "random_images_avif")
BASELINES = (*IMAGES, "k_means", "quantised_network", "herding", "k_centres")


class Watch:
    """Notes what was run and what was there; interrupts before piece ``stop``."""

    def __init__(self, stop: int | None = None) -> None:
        self.ran: list[str] = []
        self.kept: list[str] = []
        self.stop = stop

    def begins(self, what: str, number: int, of: int) -> None:
        if number == self.stop:
            raise KeyboardInterrupt

    def ends(self, what: str, number: int, of: int, entry: Entry, new: bool) -> None:
        (self.ran if new else self.kept).append(what)


def only_files(**changes: Any) -> Settings:
    settings = {"encode": QUICK, "nets": 1, "train_steps": 3, "device": "cpu", "baselines": False}
    return Settings(**{**settings, **changes})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> SweepRecord:
    """A finished sweep of four files; its folder is copied before it is changed."""
    folder = tmp_path_factory.mktemp("sweep") / "out"
    return sweep("digits", folder, GRID, SETTINGS)


@pytest.fixture
def copy(done: SweepRecord, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done.folder, tmp_path / "copy"))


def test_every_point_is_a_file_with_its_result(done: SweepRecord) -> None:
    assert len(done.points) == 4
    for entry in done.points:
        facts = info(done.folder / entry["file"])
        assert facts["content_digest"] == entry["content_digest"]
        assert facts["bytes"]["total"] == entry["bytes"]
        assert facts["bits_per_class"] == entry["bits_per_class"]
        assert facts["poster"]["bits"] == int(entry["quality"][5:])
        assert len(entry["per_net"]) == 1
        assert entry["accuracy_mean"] == entry["per_net"][0]
    names = {*NAMES, *(entry["file"] for entry in done.points)}
    assert {path.name for path in done.folder.iterdir()} == names


def test_baselines_keep_to_the_bytes_of_their_file(done: SweepRecord) -> None:
    assert {entry["name"] for entry in done.baselines} <= set(BASELINES)
    for point in done.points:
        for name in ("random_images_jpeg", "k_means", "quantised_network"):
            entry = done.baseline(name, Place.of(point))
            assert entry is not None
            assert entry["budget_bytes"] == point["bytes"]
            assert 0 < entry["bytes"] <= point["bytes"]
            assert entry["bits_per_class"] == 8 * entry["bytes"] / 10
    assert done.full_data is not None
    assert done.full_data["accuracy_mean"] > 0.9


def test_selections_keep_to_the_pixels_of_a_file_once_for_all_its_qualities(
    done: SweepRecord,
) -> None:
    for name in ("herding", "k_centres"):
        found = [entry for entry in done.baselines if entry["name"] == name]
        assert [(entry["ipc"], entry["quality"]) for entry in found] == [
            (0.4, "bits=8"),
            (0.9, "bits=8"),
        ]
        for entry in found:
            point = done.point(Place.of(entry), 0)
            assert point is not None
            assert entry["pixels"] <= point["pixels"]


def test_a_line_says_which_baselines_are_better(done: SweepRecord) -> None:
    said = done.verdict()
    assert said is not None
    assert said in (done.folder / "sweep.md").read_text().splitlines()


def test_files_with_labels_of_an_observer_stand_beside_images_that_it_labels(
    tmp_path: Path, observer_file: Path
) -> None:
    given = {"codec": "lic", "observer": observer_file, "steps": 2}
    record = sweep("digits", tmp_path / "out", Grid((1,)), only_files(encode=given, baselines=True))
    entry = record.baseline("random_images_observer_labels", Place(1))
    assert entry is not None
    assert entry["bytes"] <= record.points[0]["bytes"]


def test_finished_points_are_not_run_again(done: SweepRecord, copy: Path) -> None:
    watch = Watch()
    again = sweep("digits", copy, GRID, SETTINGS, watcher=watch)
    assert watch.ran == []
    assert len(watch.kept) == 4 + len(done.baselines) + 1
    assert again.as_json() == done.as_json()


def test_a_grid_may_grow(copy: Path) -> None:
    watch = Watch()
    grid = Grid((0.4,), ("bits=8", "bits=5"), (0, 1))
    again = sweep("digits", copy, grid, only_files(), watcher=watch)
    assert watch.kept == ["0.4 IPC, bits=8, seed 0"]
    assert watch.ran == [
        "0.4 IPC, bits=8, seed 1",
        "0.4 IPC, bits=5, seed 0",
        "0.4 IPC, bits=5, seed 1",
    ]
    assert len(again.points) == 7
    assert again.full_data is not None  # what was measured stays, asked for or not


def test_preprocessings_are_places_of_their_own(tmp_path: Path) -> None:
    kinds = ("standardise", "none")
    grid = Grid((0.4,), preprocessing=kinds)
    record = sweep("digits", tmp_path / "out", grid, only_files(baselines=True))
    assert [entry["preprocessing"] for entry in record.points] == list(kinds)
    for entry in record.points:
        facts = info(tmp_path / "out" / entry["file"])
        assert facts["image"]["preprocessing"]["kind"] == entry["preprocessing"]
    assert {entry["preprocessing"] for entry in record.baselines} == {"standardise"}


def test_budgets_in_bytes_are_places_of_their_own_and_bound_their_files(tmp_path: Path) -> None:
    grid = Grid((0.4,), total_bytes=(1700, 1400))
    record = sweep("digits", tmp_path / "out", grid, only_files())
    places = [Place.of(entry) for entry in record.as_json()["points"]]
    assert [place.budget for place in places] == ["1,400 bytes", "1,700 bytes", "0.4 IPC"]
    small, large = (e for e in record.as_json()["points"] if e["ipc"] is None)
    assert small["total_bytes"] == 1400
    assert large["total_bytes"] == 1700
    assert small["bytes"] < 1.05 * 1400 < large["bytes"] < 1.05 * 1700
    assert small["file"] == "bytes1400-seed0.ddset"
    assert "--bytes 1400" in small["commands"][0]
    again = Watch()
    sweep("digits", tmp_path / "out", grid, only_files(), watcher=again)
    assert not again.ran
    assert len(again.kept) == 3


def test_bytes_of_other_libraries_are_kept_as_plain_numbers() -> None:
    (total,) = Grid(total_bytes=(np.int64(1400),)).total_bytes
    assert type(total) is int


def test_places_are_named_by_what_is_set() -> None:
    places = list(Grid((0.9, 0.4, 0.4), ("bits=4", "auto"), (0,), ("auto", "none")).places())
    assert [str(place) for place in places[:4]] == [
        "0.4 IPC, bits=4",
        "0.4 IPC, bits=4, none",
        "0.4 IPC",
        "0.4 IPC, none",
    ]
    assert len(set(places)) == len(places) == 8
    assert places[1].file_name(3) == "ipc0.4-bits4-none-seed3.ddset"
    assert places[2].file_name(0) == "ipc0.4-seed0.ddset"


def test_an_interruption_leaves_what_is_finished(tmp_path: Path) -> None:
    grid, out = Grid((0.4,), ("bits=8",), (0, 1, 2)), tmp_path / "out"
    first, second = Watch(stop=3), Watch()
    with pytest.raises(KeyboardInterrupt):
        sweep("digits", out, grid, only_files(), watcher=first)
    whole = sweep("digits", out, grid, only_files(), watcher=second)
    assert (len(first.ran), len(second.kept), len(second.ran)) == (2, 2, 1)
    assert [entry["seed"] for entry in whole.points] == [0, 1, 2]


def test_a_file_without_a_result_is_measured_and_not_made_again(copy: Path) -> None:
    record = SweepRecord.open(copy, {})
    gone = record.points.pop()
    record.identity = sweep("digits", copy, GRID, SETTINGS).identity
    record.save()
    before = (copy / gone["file"]).stat().st_mtime_ns
    again = sweep("digits", copy, GRID, SETTINGS)
    assert (copy / gone["file"]).stat().st_mtime_ns == before
    found = again.point(Place.of(gone), gone["seed"])
    assert found is not None
    assert found["encode_seconds"] is None
    assert found["per_net"] == gone["per_net"]


def test_a_file_that_is_gone_is_made_again(done: SweepRecord, copy: Path) -> None:
    gone = done.points[1]
    (copy / gone["file"]).unlink()
    watch = Watch()
    again = sweep("digits", copy, GRID, SETTINGS, watcher=watch)
    assert len(watch.ran) == 1
    found = again.point(Place.of(gone), gone["seed"])
    assert found is not None
    assert found["content_digest"] == gone["content_digest"]
    assert len(again.points) == 4


def test_a_changed_file_is_refused_and_left_alone(done: SweepRecord, copy: Path) -> None:
    one, other = (copy / entry["file"] for entry in done.points[:2])
    shutil.copy(one, other)
    before = other.read_bytes()
    with pytest.raises(CheckpointMismatch, match="is not the file that was measured"):
        sweep("digits", copy, GRID, SETTINGS)
    other.write_bytes(before[:-1])
    with pytest.raises(InvalidFile, match=f"{other.name}.*remove it"):
        sweep("digits", copy, GRID, SETTINGS)


def test_a_strangers_file_in_the_place_of_a_point_is_refused(
    done: SweepRecord, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(done.folder / "ipc0.4-bits8-seed0.ddset", out / "ipc0.4-bits8-seed7.ddset")
    with pytest.raises(CheckpointMismatch, match="was not made by this sweep"):
        sweep("digits", out, Grid((0.4,), ("bits=8",), (7,)), only_files())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"nets": 2}, "nets was 1, now 2"),
        ({"train_steps": None}, "train_steps was 3, now not set"),
        ({"encode": QUICK | {"steps": 3}}, "encode was"),
    ],
)
def test_other_settings_need_another_folder(
    copy: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(CheckpointMismatch, match=named):
        sweep("digits", copy, GRID, only_files(**changes))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Grid(()), "at least one budget"),
        (lambda: Grid((0.4, float("nan"))), "`ipc` must be more than 0"),
        (lambda: Grid((0.4,), ("bits=77",)), "bits=77"),
        (lambda: Grid((0.4,), preprocessing=("bleach",)), "`preprocessing`=bleach is unknown"),
        (lambda: Grid((0.4,), seeds=(-1,)), "`seed` must be 0 or more"),
        (lambda: Settings(nets=0), "`nets` must be at least 1"),
        (lambda: Settings(train_steps=0), "`train_steps` must be at least 1"),
    ],
)
def test_what_cannot_work_is_refused_before_the_work(make: Any, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        make()


def test_a_source_or_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        sweep("no-such-data", tmp_path / "out", Grid((0.4,)))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="make it first"):
        sweep("digits", tmp_path / "a" / "b", Grid((0.4,)))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a folder"):
        sweep("digits", tmp_path / "file", Grid((0.4,)))


def test_a_pillow_without_avif_leaves_it_out_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alternatives, "can_write", lambda name: name == "JPEG")
    grid = Grid((0.4,), ("bits=8",))
    record = sweep("digits", tmp_path / "out", grid, only_files(baselines=True))
    names = [entry["name"] for entry in record.baselines if entry["name"].startswith("random")]
    assert names == ["random_images_jpeg"]
    assert record.notes == [f"{name}, which this Pillow cannot write" for name in ("WebP", "AVIF")]
    assert "Left out: AVIF" in (tmp_path / "out" / "sweep.md").read_text()


def test_commands_put_the_paths_back() -> None:
    recorded = "ddcodec encode pets --ipc 1 --steps 7 --profile quick --order names.txt --size 16"
    settings = Settings(
        encode={"order": "my lists/names.txt"}, nets=3, train_steps=9, device="cuda", size=16
    )
    assert commands("data/my pets", "a.ddset", recorded, settings) == [
        "ddcodec encode 'data/my pets' --ipc 1 --steps 7 --profile quick "
        "--order 'my lists/names.txt' --size 16 --device cuda -o a.ddset",
        "ddcodec train a.ddset --nets 3 --test 'data/my pets' --steps 9 --size 16 --device cuda",
    ]
    assert commands("digits", "a.ddset", "ddcodec encode digits --ipc 1", Settings())[1] == (
        "ddcodec train a.ddset --nets 8"
    )


def test_an_observer_is_known_by_its_content_and_put_back(tmp_path: Path, digits: Source) -> None:
    path = tmp_path / "seen.safetensors"
    path.write_bytes(b"one")
    settings = Settings(encode={"codec": "lic", "observer": path}, device="cpu")
    recorded = "ddcodec encode digits --codec lic --ipc 1 --observer seen.safetensors"
    words = commands("digits", "a.ddset", recorded, settings)[0].split()
    assert words[words.index("--observer") + 1] == str(path)
    before = identity(digits, digits, settings)
    assert before["encode"]["observer"]["file"] == "seen.safetensors"
    assert before == json.loads(json.dumps(before))
    path.write_bytes(b"other")
    assert identity(digits, digits, settings) != before
    path.unlink()
    with pytest.raises(SourceError, match=r"seen\.safetensors: cannot be read"):
        identity(digits, digits, settings)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": 3, "time": 1.0}, "`steps` or `time`, not both"),
        ({"profile": "paper", "time": 1.0}, "bounds one call of a paper run"),
    ],
)
def test_points_are_finished_runs(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    settings = Settings(encode=given, baselines=False)
    with pytest.raises(UsageError, match=words):
        sweep("digits", tmp_path / "x", Grid((0.4,), ("bits=4",)), settings)
    assert not (tmp_path / "x").exists()
