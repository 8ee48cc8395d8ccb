"""The settings of one LIC encode: complete before work starts, matched by every resume."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...errors import UsageError
from ...format.pictures import check_picture
from ...format.tensors import PICTURES
from ..shared.labels import LabelPlan, plan_labels
from ..shared.mosaic import Mosaic
from .options import ITERATIONS, LIC, USUAL, plan_images

GROUP = 32  # mosaics; so many small classes are made, saved and stored together
PICTURE_PIXELS = 1 << 19  # or more of them in a picture: one of small images is larger by an eighth
BATCH_PIXELS = 1 << 20  # of all expanded images of a batch: a bound on the memory


@dataclass(frozen=True)
class LICParams:
    """The options with every ``auto`` and usual value decided, and what follows from them."""

    options: LIC
    recorded: LIC  # what the command in the file says
    labels: LabelPlan
    squeeze: int
    select: str
    images: str  # the coder of mosaics
    quality: int  # of a lossy one, 1 to 100; 0 for zstd
    seed: int
    batch: int  # mosaics compensated at a time
    group: int  # classes made, saved and stored together

    @property
    def ipc(self) -> int:
        """Mosaics a class."""
        assert self.options.ipc is not None  # checked with the options
        return int(self.options.ipc)

    def mosaic(self, height: int, width: int) -> Mosaic:
        """Return the geometry for images of this size."""
        side = math.isqrt(self.squeeze)
        return Mosaic(height, width, side, side)

    def as_dict(self) -> dict[str, Any]:
        """Return what decides the result beside source and observer, as plain JSON values."""
        found = asdict(self)
        del found["options"]["observer"], found["recorded"]
        return found


def make_params(
    options: LIC,
    shape: tuple[int, int, int],
    classes: int,
    precision: str,
    seed: int,
    asked: LIC | None = None,
) -> LICParams:
    """Return complete settings for images (C, H, W); raises UsageError for what cannot work.

    ``precision`` is what ``auto`` means on the device. ``options`` state a number of mosaics;
    ``asked`` are those that the file records, where others led to them.
    """
    _, height, width = shape
    assert options.ipc is not None  # checked with the options
    given = {name: getattr(options, name) for name in USUAL}
    values: dict[str, Any] = {n: USUAL[n] if value is None else value for n, value in given.items()}
    ipc, squeeze = int(options.ipc), values["squeeze"]
    if math.isqrt(squeeze) > min(height, width):
        raise UsageError(f"`squeeze`={squeeze}: images of {width}x{height} hold no such cells")
    coder, quality = plan_images(values["images"])
    lossy = coder in PICTURES
    together = max(GROUP, PICTURE_PIXELS // (height * width)) if lossy else GROUP
    group = max(1, together // ipc)
    if lossy:
        check_picture(coder, (ipc * min(group, classes), 3, height, width))
    labels = plan_labels(options.labels, classes, values["temperature"])
    steps = ITERATIONS if options.steps is None else options.steps
    values |= {
        "temperature": labels.temperature,
        "images": f"{coder}={quality}" if quality else coder,
    }
    unusual: dict[str, Any] = {
        name: None if value == USUAL[name] else value for name, value in values.items()
    }
    settled = replace(
        options,
        candidates=max(options.candidates, squeeze * ipc),
        steps=steps if options.compensate else None,
        precision=precision if options.precision == "auto" else options.precision,
        labels=labels.as_option(),
        **unusual,
    )
    if asked is not None:
        now: dict[str, Any] = {
            "precision": settled.precision,
            "labels": settled.labels,
            "steps": settled.steps,
        }
        asked = replace(asked, **now)
    batch = max(1, min(GROUP, BATCH_PIXELS // (squeeze * height * width)))
    return LICParams(
        options=settled,
        recorded=asked or settled,
        labels=labels,
        squeeze=squeeze,
        select=values["select"],
        images=coder,
        quality=quality,
        seed=seed,
        batch=batch,
        group=group,
    )
