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
from ...runtime.device import threads_for
from ..base import ModelPlace
from ..samples import Device, Samples
from ..shared.labels import restore
from ..shared.mosaic import Mosaic
from ..shared.reading import Reading
from .cache import ImageCache
from .fingerprint import Watch
from .rules import blocks_of

if TYPE_CHECKING:
    from ...format import Manifest
    from ...priors.folder import ModelFolder
    from .generate import Generator

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
        self._reserve(min(self.count, max(1, MEMORY // size)))
        self._watch = Watch(self._arrays["fingerprints"], folder.name)
        self._maker: Generator | None = None

    def gather(self, index: Tensor) -> Tensor:
        """Return images uint8 (B, C, H, W) at ``index``, int64 (B,), on this device."""
        if self._left == 0:  # all are held, each in its own place
            return self._slots.index_select(0, index.to(self._slots.device))
        index = index.cpu()
        wanted = torch.unique(index)
        missing = wanted[self._slot_of[wanted] < 0]
        if len(missing):
            self._fetch(missing, wanted)
        return self._slots.index_select(0, self._slot_of[index].to(self._slots.device))

    def to(self, device: torch.device) -> Images:
        """Return the same images, held and made on another device."""
        return Images(self._manifest, self._arrays, self._folder, self._cache, device)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process, which loads the model itself where it has to.

        It holds its own images, too: to processes that are spawned torch hands tensors as shared
        memory, and what one of them puts into a slot would replace what others find there.
        """
        held = ("_slots", "_owner", "_slot_of")
        state = {name: value for name, value in self.__dict__.items() if name not in held}
        return state | {"_maker": None, "_capacity": len(self._slots)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin with nothing held, in memory of this process alone."""
        capacity = state.pop("_capacity")
        self.__dict__.update(state)
        self._reserve(capacity)

    def _reserve(self, capacity: int) -> None:
        self._slots = torch.empty((capacity, *self.shape), dtype=torch.uint8, device=self.device)
        self._owner = torch.full((capacity,), -1, dtype=torch.int64)
        self._next = 0
        self._slot_of = torch.full((self.count,), -1, dtype=torch.int64)
        self._left = (
            self.count if capacity == self.count else -1
        )  # images not held; -1: not all fit

    def _fetch(self, missing: Tensor, wanted: Tensor) -> None:
        units = sorted({self._unit_of(int(i)) for i in missing})
        images = [i for unit in units for i in self._images_of(unit)]
        needed = set(wanted.tolist()) | set(images)
        if len(needed) > len(self._slots):
            # More than memory was to hold: a batch must fit, so what is held begins anew.
            self._reserve(len(needed))
            units = sorted({self._unit_of(int(i)) for i in wanted})
        keep = set(wanted.tolist())
        for unit, made in self._made(units):
            images_of = self._images_of(unit)
            if self._left > 0:
                span = slice(images_of.start, images_of.stop)
                self._left -= int((self._slot_of[span] < 0).sum())
                self._slots[span] = made.to(self._slots.device)
                self._slot_of[span] = torch.arange(span.start, span.stop)
                continue
            for place, i in enumerate(images_of):
                self._hold(i, made[place], keep)

    def _hold(self, i: int, image: Tensor, keep: set[int]) -> None:
        if int(self._slot_of[i]) >= 0:
            return
        for _ in range(len(self._slots)):
            if int(self._owner[self._next]) not in keep:
                break
            self._next = (self._next + 1) % len(self._slots)
        else:
            return  # the batch that is asked for fills memory; this one came along with it
        slot = self._next
        if (before := int(self._owner[slot])) >= 0:
            self._slot_of[before] = -1
        self._owner[slot], self._slot_of[i] = i, slot
        self._slots[slot] = image.to(self._slots.device)
        self._next = (slot + 1) % len(self._slots)

    def _unit_of(self, i: int) -> int:
        group, s = divmod(i, self._each)
        return group * self._units + s // self._blocks // self._step

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

    def _wishes(self, unit: int) -> list[Any]:
        from .generate import Wish

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
            from ...priors.model import load
            from .generate import Generator, Wish

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


class GeneratedSamples(Samples):
    """The patches of generated images: sample i is patch i mod R of image floor(i / R)."""

    def __init__(
        self,
        images: Images,
        labels: NDArray[np.float32],
        geometry: Mosaic,
        reading: Reading,
        raw: bool = False,
    ) -> None:
        """Take images, and the labels of their patches (N, classes), all variations in turn.

        With ``raw`` patches are gathered as bytes, without the preprocessing.
        """
        self.labels, self.image_shape = labels, images.shape
        self.variations = images.variations
        self.images = images
        self._geometry, self._reading, self._raw = geometry, reading, raw

    @property
    def bytes(self) -> GeneratedSamples:
        """The same samples before the preprocessing, uint8."""
        return GeneratedSamples(self.images, self.labels, self._geometry, self._reading, raw=True)

    def gather(self, index: Tensor) -> Tensor:
        """Return the patches at ``index`` (int64 (B,)): float32 (B, C, H, W), or bytes."""
        each = self._geometry.cells
        found = self.images.gather(torch.div(index, each, rounding_mode="floor"))
        if each > 1:
            region = (index % each).to(found.device)
            out = torch.empty_like(found)
            for number in range(each):
                places = (region == number).nonzero()[:, 0]
                if len(places):
                    out[places] = self._geometry.expand(found[places], number)
            found = out
        return found if self._raw else self._reading.ready(found)

    def to(self, device: Device) -> GeneratedSamples:
        """Return the same samples, made and held on ``device``."""
        images = self.images.to(torch.device(device))
        return GeneratedSamples(images, self.labels, self._geometry, self._reading, self._raw)


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
    from ...priors.folder import find, wanted

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
