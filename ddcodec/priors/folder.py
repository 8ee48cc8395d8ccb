"""Where a diffusion model lies and which weights it has. Nothing here loads it, or torch.

A model is a folder in the diffusers layout: ``unet/``, ``text_encoder/``, ``tokenizer/``,
``scheduler/`` and, for a latent model, ``vae/``, weights as safetensors. It is given as a path, or
as an id of the Hugging Face hub (``owner/name`` or ``owner/name@revision``) that is in the local
cache already; only with the user's consent is it fetched.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import InvalidFile, MissingExtra, SourceError, Unsupported, UsageError, one_line
from ..format.values import is_text, is_weights

PARTS = ("unet", "vae", "text_encoder")  # that have weights
NEEDED = ("unet/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json")
# What a download brings; .bin files are pickles and are never fetched or read.
PATTERNS = ("model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors")
# What from_pretrained loads: in one file or in shards, of the plain kind or fp16.
WEIGHTS = re.compile(r"(?:diffusion_pytorch_)?model(\.fp16)?(?:-\d{5}-of-\d{5})?\.safetensors")
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

DEFAULT_SIDE = 64  # of what a UNet sees, where its configuration does not say

External = Mapping[str, Any]


@dataclass(frozen=True)
class ModelFolder:
    """A model at hand."""

    path: Path
    name: str  # hub id, or the folder's name
    revision: str  # commit of the hub; empty for a folder
    weights: tuple[str, ...]  # files that are loaded, relative to ``path``, in ascending order
    variant: str | None  # ``fp16`` where only those weights are there

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every weights file, hex, by its path in the folder."""
        found = {}
        for name in self.weights:
            try:
                with (self.path / name).open("rb") as file:
                    found[name] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise SourceError(f"{self.path / name}: cannot be read: {error.strerror}") from None
        return found

    @property
    def digest(self) -> str:
        """SHA-256 over names and digests of all weights, hex."""
        text = json.dumps(self.digests, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Size of all weights."""
        return sum((self.path / name).stat().st_size for name in self.weights)

    def has(self, part: str) -> bool:
        """Say whether the model has a part, such as ``vae``."""
        return (self.path / part / "config.json").is_file()

    def as_external(self) -> dict[str, Any]:
        """Return the entry of ``external`` in a manifest."""
        revision = self.revision or f"sha256 {self.digest[:16]}"
        files = dict(self.digests)
        return {"name": self.name, "revision": revision, "bytes": self.bytes, "files": files}

    def require(self, external: External) -> None:
        """Raise Unsupported, in one line, unless these are the weights that a file was made with.

        Paths are compared, never opened: only files of this folder are read.
        """
        for name, digest in sorted(external["files"].items()):
            if name not in self.weights:
                raise Unsupported(f"{self.path}: has no {name}; {wanted(external)}")
            if self.digests[name] != digest:
                raise Unsupported(
                    f"{self.path}: another model, {name} has SHA-256 "
                    f"{self.digests[name][:12]}..., the file was made with {digest[:12]}...; "
                    f"{wanted(external)}"
                )


def wanted(external: External) -> str:
    """Return which model a file needs, how large it is, and what brings it."""
    name, revision = external["name"], external["revision"]
    return f"needed is '{name}', revision {revision}, {external['bytes']:,} bytes; " + how(
        name, revision
    )


def how(name: str, revision: str) -> str:
    """Return the command that would fetch a model, or whom to ask.

    Only an id and a revision of the hub's form become part of a command: both may come from a file.
    """
    if HUB_ID.fullmatch(name) and REVISION.fullmatch(revision):
        return f"fetch it with: hf download {name} --revision {revision}"
    return "ask for that folder where the file came from, and give it as `prior`"


def find(
    spec: str | os.PathLike[str], download: bool = False, files: Collection[str] = ()
) -> ModelFolder:
    """Return the model at a path, or with an id of the hub, if it is here.

    With ``download`` an id that is not here is fetched; without, nothing uses the network.
    ``files`` are names of weights that a file needs: where a folder has plain weights and fp16,
    they say which, else the plain ones are taken.

    Raises:
        UsageError: neither a folder nor an id. Unsupported: an id that is not here, or a folder of
        another layout. SourceError: a download failed.
    """
    text = os.fspath(spec)
    path = Path(text)
    if path.is_dir():
        return _described(path, path.resolve().name or "model", "", files)
    name, _, revision = text.partition("@")
    if not HUB_ID.fullmatch(name) or (revision and not REVISION.fullmatch(revision)):
        raise UsageError(
            f"`prior`={text}: no such folder; give the folder of a diffusion model, or an id such "
            "as owner/name that is in the local cache"
        )
    found = _in_cache(name, revision or None, download)
    return _described(found, name, found.name, files)


def _in_cache(name: str, revision: str | None, download: bool) -> Path:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingExtra("huggingface_hub, which finds models by id,", "d3m")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(PATTERNS),
                local_files_only=not download,
            )
        )
    except LocalEntryNotFoundError:
        command = f"hf download {name}" + (f" --revision {revision}" if revision else "")
        raise Unsupported(
            f"`prior`={name}: revision {revision or 'main'} is not in the local cache, and nothing "
            f"is downloaded without consent; fetch it with: {command}, or use `download` with "
            "encode or train"
        ) from None
    # Network, disk and hub fail in ways that huggingface_hub reports by many exceptions.
    except Exception as error:
        raise SourceError(f"`prior`={name}: cannot be fetched: {one_line(error)[:300]}") from None


def _described(path: Path, name: str, revision: str, files: Collection[str]) -> ModelFolder:
    for needed in NEEDED:
        if not (path / needed).is_file():
            raise Unsupported(
                f"{path}: has no {needed}; a model is a folder that diffusers' save_pretrained "
                "wrote, or 'ddcodec prior train'"
            )
    weights: list[str] = []
    variants = set()
    halved = any(".fp16" in file for file in files)
    for part in PARTS:
        kinds: dict[bool, list[str]] = {False: [], True: []}
        for file in sorted((path / part).glob("*.safetensors")):
            if found := WEIGHTS.fullmatch(file.name):
                kinds[found[1] is not None].append(f"{part}/{file.name}")
        chosen = (halved and kinds[True]) or kinds[False] or kinds[True]
        if not chosen and (part != "vae" or (path / part).is_dir()):
            raise Unsupported(
                f"{path / part}: has no safetensors; pickled weights (.bin) are not read, save "
                "them again with save_pretrained(safe_serialization=True)"
            )
        if chosen:
            variants.add("fp16" if chosen is kinds[True] else None)
        weights += chosen
    if len(variants) > 1:
        raise Unsupported(f"{path}: some parts have only fp16 weights; keep one kind for all")
    for weight in weights:
        if not is_weights(weight):
            raise Unsupported(f"{path}: the file name {weight!a} cannot stand in a manifest")
    shown = name if is_text(name) else "model"
    return ModelFolder(path, shown, revision, tuple(sorted(weights)), variants.pop())


def native_side(folder: ModelFolder) -> int:
    """Return the pixels of a side of the images that a model was trained on.

    Raises Unsupported where its configuration does not say so by one number.
    """
    found = config_of(folder, "unet").get("sample_size")
    side = DEFAULT_SIDE if found is None else found
    levels = config_of(folder, "vae").get("block_out_channels", [0]) if folder.has("vae") else [0]
    if type(side) is not int or side < 1 or not isinstance(levels, list) or not levels:
        raise Unsupported(
            f"{folder.path}: its sample_size is {found!a}; this version runs models of square "
            "images, with one number"
        )
    return int(side * 2 ** (len(levels) - 1))


def config_of(folder: ModelFolder, part: str, file: str = "config.json") -> dict[str, Any]:
    """Return the configuration of a part; raises InvalidFile where it cannot be read."""
    path = folder.path / part / file
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidFile(f"{path}: cannot be read: {one_line(error)}") from None
    if not isinstance(value, dict):
        raise InvalidFile(f"{path}: is no configuration")
    return value
