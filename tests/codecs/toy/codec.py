"""The toy method: its options, rules, encoder and decoder, behind the interface of a codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ddcodec.codecs.base import Codec, Description, Pictures
from ddcodec.codecs.options import Options, option
from ddcodec.errors import LimitExceeded, UsageError
from ddcodec.format import Manifest, Storage, write
from ddcodec.format.values import need


@dataclass(frozen=True)
class Toy(Options):
    title = "Some images (toy)"

    ipc: float | None = option(None, "Images per class, a whole number.", metavar="X", least=1)
    pick: str = option("first", "Which images of a class.", choices=("first", "last"))

    def check(self) -> None:
        if self.ipc is None or self.ipc != int(self.ipc):
            raise UsageError(f"`ipc` must be a whole number, got {self.ipc}")


class ToyCodec(Codec):
    name = "toy"
    title = "some images of each class"
    Options = Toy

    def check(self, manifest: Any, limits: Any) -> None:
        need(set(manifest.tensors) == {"pictures"}, "tensors: toy needs pictures", "DDS-E013")
        shape = manifest.tensors["pictures"].shape
        need(len(shape) == 4 and shape[0] % len(manifest.classes) == 0, "pictures: shape")
        if shape[0] > limits.patches:
            raise LimitExceeded(f"{shape[0]} images, the limit is {limits.patches}", "DDS-E040")

    def encode(self, request: Any, options: Toy) -> Manifest:
        source, count = request.source, int(options.ipc or 1)
        train = source.train
        rows = [np.flatnonzero(train.labels == c) for c in range(len(source.classes))]
        cut = slice(count) if options.pick == "first" else slice(-count, None)
        images = np.concatenate([train.images[row[cut]] for row in rows]).transpose(0, 3, 1, 2)
        request.reporter.note(f"{len(images)} images")
        recipe = {"network": {"name": "convnet", "norm": "instance", "depth": 1, "width": 8},
                  "optimizer": {"name": "adam", "lr": 0.01}, "steps": 20, "batch_size": 10,
                  "augment": "none", "loss": "soft_cross_entropy"}  # fmt: skip
        manifest = Manifest(
            codec={"name": self.name, "version": 1, "params": {}},
            classes=source.classes,
            image={"channels": source.channels, "height": source.height, "width": source.width,
                   "colour": "grey" if source.channels == 1 else "rgb",
                   "preprocessing": {"kind": "none"}},
            tensors={}, labels={"kind": "class"}, recipe=recipe,
            source={"name": source.name, "split": "train", "count": len(train.labels),
                    "digest": source.digest()[:32]},
            provenance={"tool": "toy", "command": "toy", "seed": request.seed},
        )  # fmt: skip
        return write(request.out, manifest, {"pictures": images.copy()}, {"pictures": Storage()})

    def decode(self, file: Any, place: Any) -> Any:
        import torch

        from ddcodec.codecs.images.decode import ImageSamples
        from ddcodec.codecs.shared.reading import Reading

        pictures, classes = file.arrays["pictures"], len(file.manifest.classes)
        labels = np.repeat(np.eye(classes, dtype=np.float32), len(pictures) // classes, 0)
        return ImageSamples(torch.from_numpy(pictures), labels, Reading(file.manifest))

    def describe(self, manifest: Any, sizes: Any) -> Description:
        count, _, height, width = manifest.tensors["pictures"].shape
        return Description(count * height * width, {"toys": count}, [("toys", str(count))])

    def pictures(self, manifest: Any, arrays: Any, count: int) -> Pictures:
        return Pictures(samples=range(count), noun="toys")


CODEC = ToyCodec()
