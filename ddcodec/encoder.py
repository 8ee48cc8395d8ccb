"""``encode``: the one call from a source of images to a ``.ddset`` file."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from . import sources
from .codecs import ENCODERS
from .codecs.request import Request
from .distill.compute import activation_type
from .distill.progress import SILENT, Reporter
from .errors import OutputError, Unsupported, UsageError

if TYPE_CHECKING:
    from .codecs.d3m.params import D3MOptions
    from .codecs.lic.params import LICOptions
    from .codecs.ppodd.params import PPoDDOptions
    from .distill.truncation import Truncation
    from .format import Manifest
    from .sources.base import Source


def encode(
    source: str | os.PathLike[str] | Source,
    codec: str = "podd",
    *,
    ipc: float | None = None,
    out: str | os.PathLike[str],
    total_bytes: int | None = None,
    profile: str = "auto",
    steps: int | None = None,
    time: float | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    order: str = "auto",
    class_grid: tuple[int, int] | None = None,
    origins: str = "even",
    augment: str = "auto",
    labels: str = "auto",
    label_pooling: str = "auto",
    patches: tuple[int, int] | None = None,
    preprocessing: str = "auto",
    quality: str | None = None,
    aware: float | None = None,
    truncation: Truncation = "random",
    meta_batches: int = 1,
    precision: str = "auto",
    overwrite: bool = False,
    download: bool = False,
    size: int | None = None,
    lic: LICOptions | None = None,
    ppodd: PPoDDOptions | None = None,
    d3m: D3MOptions | None = None,
    reporter: Reporter = SILENT,
) -> Manifest:
    """Distil a data set into one file and return the manifest that was written.

    Args:
        source: a known name, a path, or a ``Source``.
        codec: ``podd``, ``ppodd``, ``lic`` or ``d3m``.
        ipc: budget in images per class, > 0; pixels <= ipc x classes x height x width. Of
            ``ppodd`` each stage has a poster of that size.
        total_bytes: instead of ``ipc``: the whole file takes no more, and ``podd`` makes the
            largest poster that fits.
        out: the file to write. It appears whole or not at all.
        profile: ``paper`` (as published), ``quick`` (made for a CPU and a minute), ``auto``
            (``paper`` on CUDA, ``quick`` elsewhere).
        steps: outer steps, > 0. time: seconds of optimisation, > 0. The profile ``quick`` takes as
            many steps as fit in them, and so does ``ppodd``. A run of ``podd`` with the profile
            ``paper``, or with ``steps`` too, stops there: the file holds what was reached and the
            checkpoint stays for ``resume``.
        seed: >= 0; the same source, settings and seed give the same content digest on a machine.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        resume: go on from ``<out>.checkpoint`` if it exists; ``out``, which that run may have
            written already, is then replaced.
        order: class order: ``auto``, ``clip``, ``image``, ``colour``, ``paper``, ``given``,
            ``random`` (by ``seed``) or a text file.
        class_grid: class cells along (x, y), at least as many as classes; the poster takes its
            shape from them.
        origins: where patches lie: ``even``, or ``per-class`` (each class has a poster of its own,
            the cell of one large poster).
        augment: how patches and real images are changed while distilling and in the recipe: a
            name in ``distill.augment``, or ``auto`` for the profile's.
        labels: ``auto``, ``fixed`` or ``learned``; label_pooling: ``auto``, ``area`` or
            ``cell`` (see ``codecs.podd.pooling``).
        patches: patch grid (x, y); by default the data set's preset.
        preprocessing: ``none``, ``standardise`` or ``conv_whiten``; ``auto`` whitens colour images
            of 16 to 512 pixels and standardises others.
        quality: ``lossless``, ``high``, ``small`` or ``bits=N`` with N from 2 to 8; by default
            ``high``, and ``small`` with ``total_bytes``.
        aware: share of the last stage, at its end, that is distilled with poster and labels as the
            file will hold them, 0 to 1; by default a quarter for 6 bits and fewer, else none.
        truncation: where the unrolled window of an inner run lies, with the profile ``paper``:
            ``random``, or ``adaptive`` by the size of inner gradients.
        meta_batches: meta-gradients that each process computes for an outer step; their average
            over all processes is one step. Under torchrun the file is that of one process with as
            many meta-batches as all have together.
        precision: of activations while a poster is distilled: ``float32``, ``bfloat16``, or
            ``auto``: bfloat16 for images of 16 pixels and more where the device multiplies it.
        overwrite: replace an existing file.
        download: fetch a known data set, or a model of the hub, that is not here; nothing else
            ever uses the network.
        size: scale the central square of every image to this many pixels a side.
        lic: settings of the codec ``lic``, which takes no profile, time, quality or poster. There
            ``steps`` are iterations of compensation, and ``labels`` are ``auto``, ``logits``,
            ``top=K`` (the K most probable classes), ``embed-teacher`` (the observer itself, in
            integers) or ``class`` (no soft labels).
        ppodd: settings of the codec ``ppodd``; the paper's by default.
        d3m: settings of the codec ``d3m``, which takes what ``lic`` takes; there ``steps`` are
            those of textual inversion.
        reporter: told of stages and steps.

    Raises:
        UsageError: an argument is out of range. Unsupported: unknown codec.
        SourceError: the source is missing or broken. OutputError: ``out`` cannot be written.
        CheckpointMismatch: the checkpoint to resume from belongs to another run.
        KeyboardInterrupt: interrupted; the checkpoint is saved.
    """
    if codec not in ENCODERS:
        raise Unsupported(f"unknown codec '{codec}'; this version encodes: {', '.join(ENCODERS)}")
    if steps is not None and time is not None and codec != "podd":
        raise UsageError("give --steps or --time; only the codec podd takes both")
    if steps is not None and steps < 1:
        raise UsageError(f"--steps must be at least 1, got {steps}")
    if time is not None and not 0 < time < float("inf"):
        raise UsageError(f"--time must be more than 0 seconds, got {time}")
    if (ipc is None) == (total_bytes is None):
        raise UsageError("give --ipc X, or --bytes N for the size of the whole file")
    if seed < 0:
        raise UsageError(f"--seed must be 0 or more, got {seed}")
    target = Path(out)
    # A poster's checkpoint beside its file is a run that wrote the file, or was allowed to.
    unfinished = codec == "podd" and target.with_name(target.name + ".checkpoint").is_file()
    _check_output(target, overwrite or (resume and unfinished), unfinished)
    where = choose_device(device)
    if isinstance(source, sources.Source):
        if size is not None:
            raise UsageError("size belongs to sources.load where the source is loaded already")
        data = source
    else:
        data = sources.load(source, download=download, size=size)

    if total_bytes is not None and codec != "podd":
        raise UsageError(f"--bytes belongs to the codec podd; give --ipc X for {codec}")
    if codec in ("lic", "d3m"):
        assert ipc is not None
        given = {
            "--profile": profile != "auto",
            "--time": time is not None,
            "--order": order != "auto",
            "--class-grid": class_grid is not None,
            "--origins": origins != "even",
            "--augment": augment != "auto",
            "--stages": ppodd is not None,
            "--label-pooling": label_pooling != "auto",
            "--patches": patches is not None,
            "--quality": quality is not None,
            "--preprocessing": preprocessing != "auto",
            "--aware": aware is not None,
            "--truncation": truncation != "random",
            "--meta-batches": meta_batches != 1,
        }
        for option, there in given.items():
            if there:
                raise UsageError(f"{option} belongs to posters; the codec {codec} has none")
        request = Request(where, target, ipc, steps, labels, seed, size, resume, download, reporter)
        if codec == "d3m":
            from .codecs.d3m.start import start as start_d3m

            return start_d3m(data, d3m, request)
        from .codecs.lic.start import start as start_lic

        return start_lic(data, lic, request)
    if lic is not None or d3m is not None:
        raise UsageError("--observer and the options with it belong to the codec lic, or d3m")
    from .ranks import joined, world_size

    if world_size() > 1 and codec != "podd":
        raise UsageError(
            f"the codec {codec} works in one process; torchrun is for podd, lic and d3m"
        )
    if ppodd is not None and codec != "ppodd":
        raise UsageError("--stages and the options with it belong to the codec ppodd")

    from .codecs.podd.budget import fit_bytes
    from .codecs.podd.distil import Run
    from .codecs.podd.encode import encode as encode_podd
    from .codecs.podd.options import PoDDOptions
    from .codecs.podd.plan import make_plan, orders

    default_profile = "paper" if where.type == "cuda" else "quick"
    options = PoDDOptions(
        profile=default_profile if profile == "auto" else profile,
        order=order,
        class_grid=class_grid,
        labels=labels,
        label_pooling=label_pooling,
        origins=origins,
        augment=augment,
        patches=patches,
        preprocessing=preprocessing,
        quality=quality or ("high" if total_bytes is None else "small"),
        aware=aware,
        truncation=truncation,
        meta_batches=meta_batches * world_size(),
        activations=precision,
        size=size,
        steps=steps,
        seed=seed,
    )
    if total_bytes is not None:
        ordered = orders(data, options)
        plan = fit_bytes(
            data,
            lambda ipc: make_plan(data, ipc, options, total_bytes=total_bytes, ordered=ordered),
            total_bytes,
        )
    else:
        assert ipc is not None
        plan = make_plan(data, ipc, options)
    half = precision == "bfloat16" or (
        precision == "auto" and activation_type(where, data.height, data.width) is not None
    )
    params = replace(plan.params, activations="bfloat16" if half else "float32")
    plan = replace(plan, params=params)
    for note in plan.notes:
        reporter.note(note)
    with joined() as ranks:
        run = Run(ranks.device(where), reporter, resume=resume, ranks=ranks)
        if codec == "ppodd":
            from .codecs.ppodd.encode import encode as encode_ppodd
            from .codecs.ppodd.params import PPoDDOptions

            return encode_ppodd(data, plan, ppodd or PPoDDOptions(), run, target, seconds=time)
        if options.profile == "quick" and steps is None:
            return encode_podd(data, plan, run, target, seconds=time)
        return encode_podd(data, plan, run, target, lease=time)


def choose_device(name: str) -> torch.device:
    """Return the device called ``name``; ``auto`` takes CUDA where it works, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device '{name}'; use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device '{name}' was asked for, but this torch finds no CUDA GPU")
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"unknown device '{name}'; use auto, cpu, cuda or cuda:N")
    return device


def _check_output(target: Path, overwrite: bool, unfinished: bool) -> None:
    # Found before the work, not after a day of it.
    parent = target.absolute().parent
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; name a file with -o")
    if not parent.is_dir():
        raise OutputError(f"{target}: the folder {parent} does not exist; make it first")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"{target}: the folder {parent} cannot be written to")
    if overwrite or not target.exists():
        return
    if unfinished:
        raise OutputError(
            f"{target}: exists, and {target.name}.checkpoint holds its unfinished run; --resume "
            "goes on with it, -f starts again"
        )
    raise OutputError(f"{target}: exists; choose another name with -o or replace it with -f")
