"""Which method's options were given to ``encode``, made into the one object that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddcodec.errors import UsageError

if TYPE_CHECKING:
    from ddcodec.codecs.d3m.params import D3MOptions
    from ddcodec.codecs.lic.params import LICOptions
    from ddcodec.codecs.ppodd.params import PPoDDOptions

Given = Mapping[str, Any]
# What a command without these options leaves them at.
IMAGES: Given = {"select": "auto", "no_select": False, "candidates": 300}
LIC: Given = {"squeeze": 4, "compensate": True, "images": "zstd"}


@dataclass(frozen=True)
class Chosen:
    """The options that were given; None for a method of which none was. ``encode`` checks more."""

    lic: LICOptions | None = None
    ppodd: PPoDDOptions | None = None
    d3m: D3MOptions | None = None


def chosen_options(
    codec: str,
    *,
    observer: Path | None,
    prior: Any,
    images: Given,
    lic: Given,
    d3m: Given,
    ppodd: Given,
) -> Chosen:
    """Return the options of ``codec``; raise UsageError where others were given.

    ``images`` are those that lic and d3m share. Of ``d3m`` and ``ppodd`` None is one not given.
    """
    asked = {name: value for name, value in d3m.items() if value is not None}
    stages = {name: value for name, value in ppodd.items() if value is not None}
    of_stages = None
    if stages:
        from ddcodec.codecs.ppodd.params import PPoDDOptions

        of_stages = PPoDDOptions(**stages)
    if codec == "d3m":
        if _differs(lic, {"squeeze": 4, "compensate": True, "precision": "auto"}):
            raise UsageError("--squeeze, --no-compensate and --precision belong to the codec lic")
        if observer is None or prior is None:
            return Chosen(ppodd=of_stages)
        from ddcodec.codecs.d3m.params import D3MOptions

        select = "random" if images["no_select"] else images["select"]
        shared = {name: images[name] for name in ("candidates", "temperature")}
        return Chosen(
            None, of_stages, D3MOptions(observer, prior, select=select, **shared, **asked)
        )
    if asked or prior is not None:
        raise UsageError("--prior, --collage and the like belong to --codec d3m")
    if observer is None:
        if _differs(images, IMAGES) or _differs(lic, LIC):
            raise UsageError(
                "--squeeze, --select and the like belong to --codec lic with --observer F"
            )
        return Chosen(ppodd=of_stages)
    from ddcodec.codecs.lic.params import LICOptions

    select = images["select"]
    select = "random" if images["no_select"] else "loss" if select == "auto" else select
    shared = {name: images[name] for name in ("candidates", "temperature")}
    return Chosen(LICOptions(observer, select=select, **shared, **lic), of_stages)


def _differs(given: Given, default: Given) -> bool:
    return any(given[name] != value for name, value in default.items())
