"""A file and its model back to a training set: images are made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import Unsupported
from ...priors.folder import ModelFolder, find, wanted
from ...priors.model import load
from ...runtime.device import threads_for
from ..base import ModelPlace
from ..shared.labels import restore
from ..shared.mosaic import Mosaic
from ..shared.reading import Reading, StoredSamples
from .cache import ImageCache
from .fingerprint import Watch
from .generate import Generator, Wish
from .rules import blocks_of

if TYPE_CHECKING:
    from ...format import Manifest
    from ...runtime.progress import Reporter

MEMORY = 1 << 30  # bytes of images that are held
UNIT_BYTES = 1 << 18  # of images that are made, and cached, together


class Images:
    """The training images of a file, made unit by unit and held as far as memory goes.

    A unit is some collages in a row of one class and variation.
    """

    def __init__(
        self,
        manifest: Manifest,
        arrays: Mapping[str, NDArray[Any]],
        folder: ModelFolder,
        cache: ImageCache | None,
        device: torch.device,
    ) -> None:
        image, self._params = manifest.image, manifest.codec["params"]
        self._manifest, self._arrays = manifest, dict(arrays)
        self._folder, self._cache, self.device = folder, cache, device
        self.shape = (image["channels"], image["height"], image["width"])
        self.variations, self._classes, self._collages = map(int, arrays["seeds"].shape)
        self._each = int(self._params["images"])
        self._blocks = blocks_of(self._params)
        size = int(np.prod(self.shape))
        self._step = max(1, min(self._collages, UNIT_BYTES // (size * self._blocks)))
        self.count = self.variations * self._classes * self._each
        self._fits = self.count * size <= MEMORY
        self._most = max(1, MEMORY // (size * self._step * self._blocks))  # units held
        self._watch = Watch(self._arrays["fingerprints"], folder.name)
        self._maker: Generator | None = None
        self._begin()

    def gather(self, index: Tensor) -> Tensor:
        """Return images uint8 (B, C, H, W) at ``index``, int64 (B,), on this device."""
        if self._fits and len(self._held) == self.variations * self._classes * self._units:
            return self._whole.index_select(0, index.to(self.device))
        index = index.cpu()
        group, place = index // self._each, index % self._each
        units = group * self._units + place // (self._step * self._blocks)
        wanted = torch.unique(units).tolist()
        for unit, images in self._made([unit for unit in wanted if unit not in self._held]):
            self._hold(unit, images)
        out = torch.empty((len(index), *self.shape), dtype=torch.uint8, device=self.device)
        for unit in wanted:
            places = (units == unit).nonzero()[:, 0]
            inside = index[places] - self._images_of(unit).start
            out[places.to(self.device)] = self._held[unit][inside.to(self.device)]
        # Not before: a batch must fit, however large it is.
        while not self._fits and len(self._held) > self._most:
            del self._held[next(iter(self._held))]
        return out

    def make_all(self, reporter: Reporter) -> None:
        """Make and hold all images, in their order, where they fit into memory.

        Their rounding then depends on no order in which they are asked for.
        """
        every = range(self.variations * self._classes * self._units)
        missing = [unit for unit in every if unit not in self._held]
        if not (self._fits and missing):
            return
        done = sum(len(self._images_of(unit)) for unit in self._held)
        reporter.stage("making images", self.count)
        for unit, images in self._made(missing):
            self._hold(unit, images)
            done += len(images)
            reporter.step(done)

    def _hold(self, unit: int, images: Tensor) -> None:
        span = self._images_of(unit)
        held = self._whole[span.start : span.stop] if self._fits else torch.empty_like(images)
        self._held[unit] = held.copy_(images).to(self.device)

    def to(self, device: torch.device | str) -> Images:
        """Return the same images, held and made on another device."""
        return Images(self._manifest, self._arrays, self._folder, self._cache, torch.device(device))

    def _begin(self) -> None:
        """Hold nothing yet: images by unit, which lie side by side where all fit into memory."""
        shape = (self.count if self._fits else 0, *self.shape)
        self._whole = torch.empty(shape, dtype=torch.uint8, device=self.device)
        self._held: dict[int, Tensor] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process, which loads the model itself where it has to.

        It holds its own images, too: to processes that are spawned torch hands tensors as shared
        memory, and what one of them makes would replace what others find there.
        """
        return {**self.__dict__, "_maker": None, "_whole": None, "_held": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    @property
    def _units(self) -> int:
        """Units of a class in a variation."""
        return -(-self._collages // self._step)

    def _images_of(self, unit: int) -> range:
        group, part = divmod(unit, self._units)
        first = part * self._step * self._blocks
        after = min(self._each, first + self._step * self._blocks)
        return range(group * self._each + first, group * self._each + after)

    def _made(self, units: list[int]) -> Iterable[tuple[int, Tensor]]:
        """Give the images of each unit, from the cache or from the model."""
        left = []
        for unit in units:
            shape = (len(self._images_of(unit)), *self.shape)
            found = None if self._cache is None else self._cache.get(unit, shape)
            if found is None:
                left.append(unit)
            else:
                yield unit, torch.from_numpy(found)
        if not left:
            return
        maker = self._checked_maker()
        # As many units at a time as fill a batch of the model.
        at_once = max(1, maker.batch // self._step)
        for start in range(0, len(left), at_once):
            part = left[start : start + at_once]
            wishes = [self._wishes(unit) for unit in part]
            with threads_for(*self._params["size"]):
                made = maker.images([wish for group in wishes for wish in group])
            cut = torch.split(made, [len(group) for group in wishes])
            for unit, collages in zip(part, cut, strict=True):
                images = collages.flatten(0, 1)[: len(self._images_of(unit))]
                self._look_at(unit, images)
                if self._cache is not None:
                    self._cache.put(unit, images.numpy())
                yield unit, images

    def _wishes(self, unit: int) -> list[Wish]:
        group, part = divmod(unit, self._units)
        variation, label = divmod(group, self._classes)
        row = self._arrays["seeds"][variation, label]
        return [Wish(label, int(s)) for s in row[part * self._step : (part + 1) * self._step]]

    def _look_at(self, unit: int, images: Tensor) -> None:
        group, part = divmod(unit, self._units)
        if part == 0 and group < self._classes:  # the first image of the first variation
            self._watch.compare(group, images[0])
            self._watch.require()

    def _checked_maker(self) -> Generator:
        """Return the generator; before its first use, some fingerprints are compared."""
        if self._maker is None:
            prior = load(self._folder, self.device, self._params["dtype"])
            maker = Generator.of(prior, self._manifest, self._arrays)
            labels = self._watch.to_check()
            seeds = self._arrays["seeds"][0, :, 0]
            with threads_for(*self._params["size"]):
                made = maker.images([Wish(label, int(seeds[label])) for label in labels])
            for label, images in zip(labels, made, strict=True):
                self._watch.compare(label, images[0])
            self._watch.require()
            self._maker = maker
        return self._maker


class GeneratedSamples(StoredSamples):
    """The patches of ``Images``: sample i is patch i mod R of image floor(i / R)."""

    def __init__(
        self, images: Images, labels: NDArray[np.float32], geometry: Mosaic, reading: Reading
    ) -> None:
        """Take images, and the labels of their patches (N, classes), all variations in turn."""
        super().__init__(images, images.shape, labels, reading)
        self.variations = images.variations
        self._geometry = geometry

    def prepare(self, reporter: Reporter) -> None:
        self._store.make_all(reporter)

    @property
    def rows(self) -> None:
        """Nothing: images are made when they are asked for, not all at once."""

    def stored(self, index: Tensor) -> Tensor:
        each = self._geometry.cells
        found: Tensor = self._store.gather(torch.div(index, each, rounding_mode="floor"))
        if each == 1:
            return found
        region = (index % each).to(found.device)
        out = torch.empty_like(found)
        for number in range(each):
            places = (region == number).nonzero()[:, 0]
            if len(places):
                out[places] = self._geometry.expand(found[places], number)
        return out


def patch_labels(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return the soft labels of all patches, float32 (N, classes); needs no model."""
    params, classes = manifest.codec["params"], len(manifest.classes)
    if manifest.labels["kind"] != "class":
        return restore(dict(arrays), manifest.labels["kind"], classes)
    variations = arrays["seeds"].shape[0]
    one = np.repeat(np.eye(classes, dtype=np.float32), params["images"] * params["take"] ** 2, 0)
    return np.tile(one, (variations, 1))


def decode(
    manifest: Manifest, arrays: Mapping[str, NDArray[Any]], place: ModelPlace = ModelPlace()
) -> GeneratedSamples:
    """Return the samples of a D3M file; the model is checked now and used when images are.

    Raises Unsupported for a model that is not given, not here, or another one.
    """
    external = manifest.external[0]
    if place.prior is None:
        raise Unsupported(
            f"the images are made by a diffusion model that is not in the file: {wanted(external)}"
        )
    try:
        folder = find(place.prior, place.download, external["files"])
    except Unsupported as error:
        raise Unsupported(f"{error}; {wanted(external)}") from None
    folder.require(external)
    cache = None
    if place.cache is not None:
        model = " ".join(f"{k} {v}" for k, v in sorted(external["files"].items()))
        cache = ImageCache(Path(place.cache), manifest.content_digest, model, place.cache_bytes)
    # A hub's revision is not compared: the weights' digests say more.
    images = Images(manifest, arrays, folder, cache, torch.device("cpu"))
    take = manifest.codec["params"]["take"]
    geometry = Mosaic(manifest.image["height"], manifest.image["width"], take, take)
    return GeneratedSamples(images, patch_labels(manifest, arrays), geometry, Reading(manifest))
