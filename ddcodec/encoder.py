"""``encode``: the one call from a source of images to a ``.ddset`` file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import sources
from .codecs.base import Request
from .codecs.options import Common, Options, chosen
from .codecs.registry import CODECS, encoder
from .errors import UsageError
from .runtime import checkpoint
from .runtime.device import choose_device
from .runtime.outputs import check_output, check_parent, checkpoint_of, is_special, output_path
from .runtime.progress import SILENT, Reporter
from .runtime.ranks import world_size
from .runtime.world import neutral

if TYPE_CHECKING:
    from .codecs.base import Codec
    from .format import Manifest


@neutral()
def encode(
    source: Any,
    out: str | os.PathLike[str],
    codec: str | Options = "podd",
    *,
    reporter: Reporter = SILENT,
    **options: Any,
) -> Manifest:
    """Distil a data set into one file and return the manifest that was written.

    ::

        encode("digits", "digits.ddset", ipc=0.4, seed=1)
        encode("digits", "digits.ddset", ddcodec.PoDD(ipc=0.4, order="image"), seed=1)

    Args:
        source: a known name, a path, a ``Source``, or a data set: of torch with a length, of
            Hugging Face ``datasets``, or a mapping of such, ``{"train": ..., "test": ...}``. Its
            items are (image, class): pixels 0 to 255, floats 0 to 1 or pictures, not normalised.
        out: the file to write. It appears whole or not at all.
        codec: the name of a codec, whose options are then further arguments, or the options
            themselves: ``PoDD``, ``PPoDD``, ``LIC`` or ``D3M``.
        reporter: told of stages and steps.
        options: those of the codec, which ``help(ddcodec.PoDD)`` and so on list, and ``seed``,
            ``device``, ``resume`` (from ``<out>.checkpoint``, if it is there), ``overwrite``,
            ``size`` (scale images to so many pixels a side), ``test_share`` (hold out this share of
            them where there is no test split) and ``download`` (nothing else uses the network).
            The same source, settings and seed give the same content digest on a machine.

    Raises:
        UsageError: an argument is unknown, out of range or of another codec. Unsupported: unknown
        codec. SourceError: the source is missing or broken. OutputError: ``out`` cannot be
        written. CheckpointMismatch: the checkpoint to resume from belongs to another run.
        KeyboardInterrupt: interrupted; the checkpoint is saved, or the file is complete, which the
        error then says.
    """
    common = Common(**{name: options.pop(name) for name in Common.names() if name in options})
    method, settings = resolve(codec, options)
    target = output_path(out)
    _check_output(target, common)
    device = choose_device(common.device)
    loaded = isinstance(source, sources.Source)
    path = source if isinstance(source, str | os.PathLike) else None
    if not loaded:
        reporter.stage("reading the images", 0)
        source = sources.load(source, **common.of_source, say=reporter.result)
    for name in ("size", "test_share"):
        if loaded and getattr(common, name) is not None:
            raise UsageError(f"`{name}` belongs to sources.load where the source is loaded already")
    request = Request(
        source,
        target,
        device,
        common.seed,
        common.resume,
        common.download,
        reporter,
    )
    manifest = method.encode(request, settings)
    if path is not None:
        sources.remember(manifest.source["digest"], path)
    return manifest


def resolve(codec: str | Options, given: Mapping[str, Any]) -> tuple[Codec, Options]:
    """Return a codec and its options, from a name and options by name or from options alone."""
    if isinstance(codec, str):
        method = encoder(codec)
        assert method.Options is not None
        return method, chosen(method.Options, given, codec, options_of_all())
    found = next((each for each in CODECS.values() if each.Options is type(codec)), None)
    if found is None:
        raise UsageError(f"`codec` must be a name, or options such as PoDD(...), got {codec!r}")
    if given:
        raise UsageError(f"`{next(iter(given))}` belongs in {type(codec).__name__}(...)")
    return found, codec


def options_of_all() -> dict[str, str]:
    """Return the names of all codecs' options, each with the words for the codecs that have it."""
    found: dict[str, list[str]] = {}
    for name, codec in CODECS.items():
        for option in codec.Options.names() if codec.Options else ():
            found.setdefault(option, []).append(name)
    return {
        option: f"the codec{'s' if len(names) > 1 else ''} {' and '.join(names)}"
        for option, names in found.items()
    }


def _check_output(target: Path, common: Common) -> None:
    unfinished = checkpoint_of(target)
    # What lies beside a file is a run that wrote the file, or was allowed to.
    check_output(target, overwrite=common.overwrite or unfinished.exists())
    check_parent(unfinished)
    checkpoint.require_free(unfinished, common.resume, common.overwrite)
    if is_special(target) and world_size() > 1:
        raise UsageError(f"{target}: is no file, which several processes need; name one as `out`")
