"""Observers by name from timm and torchvision, each compared in one of its layers.

Such an observer is called ``timm:NAME`` or ``torchvision:NAME``, with ``@LAYER`` behind where the
layer is chosen. The name is looked up in the library's own list of classifiers, so nothing in a
file can name code to load, and no weights are fetched: they are random, or come from a file.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import MissingExtra, UsageError
from ..nn.workarounds import make_torchvision_importable
from ..runtime.rng import seeded
from .networks import Observer

EXTRA = "observers"
NAME = re.compile(r"(timm|torchvision):([a-z0-9_]{1,80})(?:@([A-Za-z0-9_.]{1,100}))?")
# What the weights that torchvision's authors publish expect; timm says it of each model.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SEED_RANGE = 1 << 62


class LibraryObserver(Observer):
    """A model of a library; the output of its module ``layer`` is compared."""

    def __init__(
        self, architecture: str, channels: int, height: int, width: int, classes: int
    ) -> None:
        nn.Module.__init__(self)
        library, name, layer = taken_apart(architecture)
        self._made_of = (library, name, channels, height, width, classes)
        self.model = _made(*self._made_of, seed=0)
        self._grey = channels == 1 and library == "torchvision"
        shape = (2, channels, height, width)
        found = self._layers(torch.zeros(shape), classes)
        if layer is None:
            layer = deepest(found)
        elif layer not in found:
            last = ", ".join(list(found)[-5:])
            raise UsageError(
                f"{library}:{name} has no layer '{layer}' that runs once and gives a tensor; "
                f"its last ones are {last}"
            )
        self.layer = layer
        self.architecture = f"{library}:{name}@{layer}"

    def forward(self, x: Tensor) -> Tensor:
        out = self.model(self._in_colour(x))
        # Some give more than logits while they learn.
        return out if isinstance(out, Tensor) else out[0]

    def features(self, x: Tensor) -> Tensor:
        """Return the output of the layer that is compared; what lies behind it is not computed."""
        found: list[Tensor] = []

        def stop(_: nn.Module, __: Any, out: Tensor) -> None:
            found.append(out)
            raise _Reached

        hook = self.model.get_submodule(self.layer).register_forward_hook(stop)
        try:
            self.model(self._in_colour(x))
        except _Reached:
            pass
        finally:
            hook.remove()
        return found[0]

    def begin(self, generator: torch.Generator) -> None:
        """Take fresh weights, the library's own random ones, from ``generator``."""
        seed = int(torch.randint(SEED_RANGE, (), generator=generator))
        self.model = _made(*self._made_of, seed=seed)

    def statistics(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of the images that published weights expect."""
        config = getattr(self.model, "pretrained_cfg", None) or {}
        mean, std = config.get("mean", IMAGENET[0]), config.get("std", IMAGENET[1])
        if self._made_of[2] == 1:
            mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
        return list(map(float, mean)), list(map(float, std))

    def _in_colour(self, x: Tensor) -> Tensor:
        return x.expand(-1, 3, -1, -1) if self._grey else x

    def _layers(self, x: Tensor, classes: int) -> dict[str, tuple[int, ...]]:
        """Return the output shapes of all modules that run once, in the order they finish."""
        shapes: dict[str, tuple[int, ...]] = {}
        runs: Counter[str] = Counter()

        def look(name: str) -> Any:
            def hook(_: nn.Module, __: Any, out: Any) -> None:
                runs[name] += 1
                shapes.pop(name, None)
                if isinstance(out, Tensor):
                    shapes[name] = tuple(out.shape)

            return hook

        named = [(name, module) for name, module in self.model.named_modules() if name]
        hooks = [module.register_forward_hook(look(name)) for name, module in named]
        library, model, *_ = self._made_of
        size = "x".join(map(str, x.shape[1:]))
        try:
            with torch.no_grad():
                out = self.model.eval()(self._in_colour(x))
        except Exception as error:  # whatever its parts raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UsageError(
                f"{library}:{model} cannot see images of {size} (channels x height x width): "
                f"{reason}; choose another `architecture` or `size`"
            ) from None
        finally:
            for one in hooks:
                one.remove()
        if not isinstance(out, Tensor) or out.shape != (len(x), classes):
            raise UsageError(f"{library}:{model} does not give a number for each class")
        return {name: shape for name, shape in shapes.items() if runs[name] == 1}


class _Reached(Exception):
    """The layer that is compared has run."""


def taken_apart(architecture: str) -> tuple[str, str, str | None]:
    """Return library, name and layer (None where not chosen); raises UsageError."""
    match = NAME.fullmatch(architecture)
    if match is None:
        raise UsageError(
            f"'{architecture}' is no model; write timm:NAME or torchvision:NAME, "
            "and @LAYER behind it to choose a layer"
        )
    return match[1], match[2], match[3]


def is_library(architecture: str) -> bool:
    """Say whether a name is that of a library's model, whether it exists or not."""
    return NAME.fullmatch(architecture) is not None


def check_there(architecture: str) -> None:
    """Raise MissingExtra without the library, UsageError where it has no such model."""
    library, name, _ = taken_apart(architecture)
    known = _known(library)
    if name not in known:
        alike = difflib.get_close_matches(name, known, 3)
        hint = f"; it has {', '.join(alike)}" if alike else ""
        raise UsageError(f"{library} has no classifier '{name}'{hint}")


def deepest(shapes: dict[str, tuple[int, ...]]) -> str:
    """Return the last layer that still tells places apart: (N, F, h, w), or (N, places, F)."""
    maps = [name for name, shape in shapes.items() if len(shape) == 4]
    wide = [name for name in maps if shapes[name][2] * shapes[name][3] > 1]
    tokens = [name for name, shape in shapes.items() if len(shape) == 3 and shape[1] > 1]
    for found in (wide, tokens, maps, list(shapes)):
        if found:
            return found[-1]
    raise UsageError("the model has no layer to compare")


def _known(library: str) -> list[str]:
    try:
        make_torchvision_importable()  # timm stands on it
        from torchvision import models

        if library == "timm":
            import timm

            return list(timm.list_models())
    except ImportError:
        raise MissingExtra(f"{library}, whose models were asked for,", EXTRA) from None
    return list(models.list_models(module=models))


def _made(
    library: str, name: str, channels: int, height: int, width: int, classes: int, seed: int
) -> nn.Module:
    """Return a model with the library's random weights; the global generator stays as it was."""
    check_there(f"{library}:{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of aliases and defaults to come
        if library == "timm":
            import timm

            own = {"pretrained": False, "num_classes": classes, "in_chans": channels}
            # Transformers must be told the size of images, and others refuse to be.
            size = {"img_size": (height, width)}
            return _tried(lambda more: timm.create_model(name, **own, **more), size, seed)
        from torchvision import models

        settings: dict[str, Any] = {"weights": None, "num_classes": classes}
        if name in ("googlenet", "inception_v3"):
            settings |= {"aux_logits": False}
        return _tried(
            lambda more: models.get_model(name, **settings, **more), {"image_size": height}, seed
        )


def _tried(make: Any, more: dict[str, Any], seed: int) -> nn.Module:
    for settings in (more, {}):
        try:
            with seeded(torch.device("cpu"), seed, "library"):
                model: nn.Module = make(settings)
            return model
        except TypeError as error:
            if not settings or next(iter(more)) not in str(error):
                raise UsageError(f"this model cannot be made: {error}") from None
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UsageError(f"this model cannot be made for these images: {reason}") from None
    raise AssertionError("unreachable")
