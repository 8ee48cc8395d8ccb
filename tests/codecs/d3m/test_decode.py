"""D3M from a file to images: the right model or none, memory, cache, variations."""

from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ddcodec
from ddcodec import DistilledDataset
from ddcodec.codecs.d3m.cache import ImageCache
from ddcodec.codecs.d3m.fingerprint import MOST, Watch, thumbnail
from ddcodec.codecs.d3m.generate import Generator, Wish
from ddcodec.codecs.d3m.noise import normal
from ddcodec.data.export import Decoded
from ddcodec.errors import OutputError, Unsupported, UsageError
from ddcodec.format import Storage, read, write
from ddcodec.priors.model import Prior
from ddcodec.runtime.rng import epoch_order, generator
from ddcodec.sources import Source
from tests.helpers.d3m_runs import run
from tests.helpers.reporters import Notes
from tests.helpers.small_models import small_prior


@pytest.fixture(scope="module")
def file(
    tmp_path_factory: pytest.TempPathFactory, digits: Source, observer_file: Path,
    prior_folder: Path,
) -> Path:  # fmt: skip
    """Two variations of three images a class, four patches each."""
    out = tmp_path_factory.mktemp("d3m") / "x.ddset"
    run(digits, observer_file, prior_folder, out, ipc=3, collage=2, take=2, variations=2)
    return out


def all_of(ds: DistilledDataset) -> torch.Tensor:
    return ds._samples.gather(torch.arange(len(ds)))


class Told(Notes):
    """A reporter that keeps stages and steps."""

    def stage(self, name: str, steps: int) -> None:
        self.said.append(f"{name} {steps}")

    def step(self, done: int, loss: float | None = None) -> None:
        self.said.append(str(done))


def test_all_images_can_be_made_at_once_and_are_told_of(
    file: Path, prior_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = ddcodec.load(file, prior=prior_folder)
    told = Told()
    ds._samples.prepare(told)
    assert told.said[0] == "making images 60"
    assert told.said[-1] == "60"
    made: list[Any] = []
    monkeypatch.setattr(Generator, "images", lambda *a: made.append(a))
    all_of(ds)
    assert made == []
    again = Told()
    ds._samples.prepare(again)
    assert again.said == []


def test_without_the_model_the_file_says_what_is_needed(file: Path) -> None:
    with pytest.raises(Unsupported, match=r"needed is 'small', revision sha256 .*, [\d,]+ bytes"):
        ddcodec.load(file)
    with pytest.raises(Unsupported, match=r"not in the local cache.*needed is 'small'"):
        ddcodec.load(file, prior="owner/model")


def test_a_prior_of_another_seed_is_refused_by_its_digest(
    digits: Source, file: Path, tmp_path: Path
) -> None:
    other = small_prior(digits, tmp_path / "other", seed=1)
    with pytest.raises(Unsupported, match=r"another model, .* needed is 'small'"):
        ddcodec.load(file, prior=other)


def test_other_images_are_refused_by_their_fingerprints(
    file: Path, prior_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The weights are right, but something that no digest covers is not.
    monkeypatch.setattr(
        "ddcodec.codecs.d3m.generate.normal",
        lambda shape, key, stream: normal(shape, key + 1, stream),
    )
    ds = ddcodec.load(file, prior=prior_folder)
    with pytest.raises(Unsupported, match="fingerprints differ by"):
        ds[0]


def test_rounding_passes_whatever_threads_and_batches(
    file: Path,
    prior: Prior,
) -> None:
    found = read(file)
    maker = Generator.of(prior, found.manifest, found.arrays)
    seeds = found.arrays["seeds"][0, :, 0]
    wishes = [Wish(label, int(seed)) for label, seed in enumerate(seeds)]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            watch = Watch(found.arrays["fingerprints"], "small")
            for wish in wishes[:3]:  # one by one; the encoder made them all at once
                watch.compare(wish.label, maker.images([wish])[0, 0])
            watch.require()
            assert watch.difference < MOST / 8
        finally:
            torch.set_num_threads(1)


def test_one_image_gone_astray_is_not_another_model_but_eight_are() -> None:
    images = torch.randint(0, 256, (20, 3, 8, 8), generator=generator(1)).to(torch.uint8)
    watch = Watch(thumbnail(images), "m")
    assert len(watch.to_check()) == 8
    for label in range(20):
        watch.compare(label, 255 - images[label] if label == 3 else images[label])
    watch.require()
    flat = Watch(np.full((8, 4, 4), 128, np.uint8), "m")
    for label in range(8):
        flat.compare(label, torch.full((3, 8, 8), 128 + int(MOST) + 1, dtype=torch.uint8))
    with pytest.raises(Unsupported, match="differ by 9"):
        flat.require()


def test_a_thumbnail_is_grey_and_averages() -> None:
    image = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    image[0, :, :2, :2] = torch.tensor([30, 60, 90], dtype=torch.uint8)[:, None, None]
    assert thumbnail(image)[0, 0, 0] == 60
    assert thumbnail(image)[0, 0, 1] == 0


def test_patches_follow_the_order_of_the_specification(
    file: Path,
    prior_folder: Path,
    prior: Prior,
) -> None:
    ds = ddcodec.load(file, prior=prior_folder, raw=True)
    assert (len(ds), ds.variations) == (2 * 10 * 3 * 4, 2)
    found = read(file)
    assert found.arrays["seeds"][1, 4].tolist() == [3, 4, 5]
    collage = Generator.of(prior, found.manifest, found.arrays).collages([Wish(4, 5)])[0]
    # Variation 1, class 4, image 2, patch 3: the lower right quarter, enlarged.
    image, label = ds[((1 * 10 + 4) * 3 + 2) * 4 + 3]
    assert (int(image[0, -1, -1]) - int(collage[0, -1, -1])) in (-1, 0, 1)
    assert abs(float(image.float().mean()) - float(collage[0, 4:, 4:].float().mean())) < 12
    assert torch.allclose(label.sum(), torch.tensor(1.0))


def test_an_epoch_shows_one_variation_and_they_take_turns(
    file: Path,
    prior_folder: Path,
) -> None:
    ds = ddcodec.load(file, prior=prior_folder)
    halves = all_of(ds).split(120)
    for epoch in range(3):
        batches = ds.batches(50, shuffle=False, epoch=epoch)
        assert len(batches) == 3
        assert torch.equal(torch.cat([x for x, _ in batches]), halves[epoch % 2])
        order = epoch_order(240, 5, epoch, variations=2)
        assert order.sort().values.tolist() == list(range(epoch % 2 * 120, epoch % 2 * 120 + 120))
        stream = ds.stream(seed=1, shuffle=False)
        stream.set_epoch(epoch)
        assert torch.equal(torch.stack([x for x, _ in stream]), halves[epoch % 2])


def test_what_memory_cannot_hold_is_made_again(
    file: Path,
    prior_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = all_of(ddcodec.load(file, prior=prior_folder))
    monkeypatch.setattr("ddcodec.codecs.d3m.decode.MEMORY", 64 * 7)
    monkeypatch.setattr("ddcodec.codecs.d3m.decode.UNIT_BYTES", 64 * 2)
    ds = ddcodec.load(file, prior=prior_folder)
    order = torch.randperm(len(ds), generator=generator(2))
    for index in (*order[:120].split(9), order[120:]):  # the last is more than memory holds
        found = ds._samples.gather(index)
        # Batches of other sizes round otherwise: a level of 255, in units of the std.
        assert float((found - whole[index]).abs().max()) < 0.03


def test_processes_that_are_spawned_hold_images_of_their_own(
    file: Path,
    prior_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ddcodec.codecs.d3m.decode.UNIT_BYTES", 64 * 2)
    whole = all_of(ddcodec.load(file, prior=prior_folder, cache=tmp_path))
    monkeypatch.setattr("ddcodec.codecs.d3m.decode.MEMORY", 64 * 7)
    ds = ddcodec.load(file, prior=prior_folder, cache=tmp_path)
    # As torch's DataLoader sends a data set to a worker: tensors become shared memory.
    one, two = (pickle.loads(ForkingPickler.dumps(ds._samples)) for _ in "ab")  # noqa: S301
    get = one._store._cache.get

    def meanwhile(unit: int, shape: tuple[int, ...]) -> Any:
        found = get(unit, shape)
        two.gather(torch.arange(200, 224))
        return found

    monkeypatch.setattr(one._store._cache, "get", meanwhile)
    index = torch.arange(0, 24)
    assert torch.equal(one.gather(index), whole[index])
    assert torch.equal(two.gather(torch.arange(200, 224)), whole[200:224])


def test_a_cache_serves_what_was_made_and_nothing_that_is_damaged(
    file: Path,
    prior_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = all_of(ddcodec.load(file, prior=prior_folder, cache=tmp_path))
    made: list[int] = []
    images = Generator.images

    def counted(self: Generator, wishes: list[Wish]) -> torch.Tensor:
        made.append(len(wishes))
        return images(self, wishes)

    monkeypatch.setattr(Generator, "images", counted)
    assert torch.equal(all_of(ddcodec.load(file, prior=prior_folder, cache=tmp_path)), first)
    assert made == []
    units = sorted(tmp_path.rglob("*.u8"))
    assert len(units) == 20
    data = bytearray(units[7].read_bytes())
    data[-1] ^= 1
    units[7].write_bytes(data)
    units[8].write_bytes(b"")
    again = all_of(ddcodec.load(file, prior=prior_folder, cache=tmp_path))
    assert float((again - first).abs().max()) < 0.03
    assert made == [8, 6]  # eight fingerprints, then two units of three collages
    with pytest.raises(UsageError, match="cache_bytes"):
        ddcodec.load(file, prior=prior_folder, cache=tmp_path, cache_bytes=0)


def test_a_cache_keeps_to_its_size_and_to_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    unit = np.zeros((4, 1, 8, 8), np.uint8)
    cache = ImageCache(tmp_path, "a" * 64, "m", cap=1000)
    for number in range(9):
        cache.put(number, unit + np.uint8(number))
    kept = sorted(int(path.stem) for path in tmp_path.rglob("*.u8"))
    assert kept == kept[-len(kept) :]
    assert 8 in kept
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.u8")) <= 1000
    assert (tmp_path / "notes.txt").read_text() == "mine"
    found = cache.get(8, unit.shape)
    assert found is not None
    assert np.array_equal(found, unit + 8)
    assert ImageCache(tmp_path, "b" * 64, "m").get(8, unit.shape) is None
    assert ImageCache(tmp_path, "a" * 64, "other").get(8, unit.shape) is None


def test_what_a_cache_cannot_keep_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = np.zeros((4, 1, 8, 8), np.uint8)
    cache = ImageCache(tmp_path / "c", "a" * 64, "m")

    def full(*_: Any) -> None:
        raise OutputError("x: cannot write: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ddcodec.codecs.d3m.cache.write_atomically", full)
        cache.put(0, unit)
    assert cache.get(0, unit.shape) is None
    next((tmp_path / "c").iterdir()).rmdir()
    (tmp_path / "c").rmdir()
    (tmp_path / "c").write_text("a file where the folder was")
    cache.put(0, unit)
    assert cache.get(0, unit.shape) is None


def test_a_cache_is_refused_where_the_digest_is_not_checked(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`cache` needs `check`"):
        ddcodec.load(file, check=False, prior="p", cache=tmp_path)


def test_decoding_for_other_tools_makes_every_image_once(
    file: Path,
    prior_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded = Decoded(file, prior=prior_folder)
    assert (decoded.count, decoded.rounded) == (240, False)
    pictures = np.concatenate([images for images, _ in decoded.pictures()])
    assert pictures.shape == (240, 8, 8, 1)
    monkeypatch.setattr(Generator, "images", None)  # nothing is made again
    samples = np.concatenate([images for images, _ in decoded.samples()])
    assert samples.shape == (240, 1, 8, 8)


def test_a_file_of_another_width_of_tokens_is_refused(
    file: Path,
    prior_folder: Path,
    tmp_path: Path,
) -> None:
    found = read(file)
    arrays = found.arrays | {"tokens": found.arrays["tokens"][:, :63]}
    write(tmp_path / "y.ddset", found.manifest, arrays, {"tokens": Storage()})
    ds = ddcodec.load(tmp_path / "y.ddset", prior=prior_folder)
    with pytest.raises(Unsupported, match="have 63 values, those of small have 64"):
        ds[0]
