"""Writing a file piece by piece: chunks go to disk as they come, the header in front at the end."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from ..errors import OutputError, UsageError
from ..limits import Limits
from ..runtime.atomic import write_atomically
from ..runtime.outputs import destination, is_special
from .chunks import ChunkReader
from .header import Entry, build
from .manifest import Manifest
from .payload import Array, Storage, digest, encode_tensor, little_endian
from .quantise import dequantise, of_rows
from .tensors import DTYPES, TensorSpec


@dataclass
class _Tensor:
    """What is known of a tensor whose chunks are still coming."""

    chunk: int
    quantiser: dict[str, Any] | None
    coder: str = "zstd"
    dtype: str = ""
    row: tuple[int, ...] = ()
    rows: int = 0
    digests: list[str] = field(default_factory=list)


class ChunkWriter:
    """Collects the chunks of a file in a temporary one beside it; holds one chunk at a time.

    Every chunk but the last of a tensor has the number of rows that ``tensor`` announced. As a
    context manager it leaves nothing behind where ``finish`` was not reached.

    Raises OutputError wherever the folder cannot be written to.
    """

    def __init__(self, path: str | os.PathLike[str], level: int = 9) -> None:
        self.path = Path(path)
        self._compressor = zstandard.ZstdCompressor(level=level, write_content_size=True)
        self._tensors: dict[str, _Tensor] = {}
        self._whole: dict[str, tuple[TensorSpec, bytes]] = {}  # spec and digest
        self._entries: dict[str, Entry] = {}
        self._size = 0
        self._data = hashlib.sha256()
        with self._writing():
            folder = None if is_special(self.path) else destination(self.path).parent
            self._body = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def tensor(
        self,
        name: str,
        chunk: int,
        quantiser: dict[str, Any] | None = None,
        coder: str = "zstd",
    ) -> None:
        """Announce a tensor in chunks of ``chunk`` rows; a quantiser means ``add`` gets symbols.

        With a lossy ``coder``, ``webp`` or ``avif``, ``add`` gets the pictures beside the values.
        """
        if chunk < 1:
            raise UsageError(f"a chunk has at least one row, not {chunk}")
        self._tensors[name] = _Tensor(chunk, quantiser, coder)

    def add(self, name: str, rows: Array, picture: bytes | None = None) -> None:
        """Append the next chunk of a tensor: its values, or the symbols (uint8) of its quantiser.

        ``picture`` is what a lossy coder made of them, and ``rows`` what its decoder gives back.

        Raises UsageError for another shape, dtype or number of rows than the chunks before.
        """
        tensor = self._tensors[name]
        values = rows
        if tensor.quantiser is not None:
            own = of_rows(tensor.quantiser, tensor.rows, tensor.rows + len(rows))
            values = dequantise(rows, own)
        if values.dtype.name not in DTYPES:
            raise UsageError(f"dtype {values.dtype} cannot be stored; use {', '.join(DTYPES)}")
        if not tensor.digests:
            tensor.dtype, tensor.row = values.dtype.name, values.shape[1:]
        if (values.dtype.name, values.shape[1:]) != (tensor.dtype, tensor.row):
            raise UsageError(
                f"tensor '{name}': a chunk of {values.dtype} {values.shape}, those before hold "
                f"{tensor.dtype} rows {tensor.row}"
            )
        if not 1 <= len(values) <= tensor.chunk or tensor.rows % tensor.chunk:
            raise UsageError(
                f"tensor '{name}': every chunk but the last has {tensor.chunk} rows, got "
                f"{len(values)} after {tensor.rows}"
            )
        stored = self._compressor.compress(little_endian(rows)) if picture is None else picture
        self._append(f"{name}.{len(tensor.digests)}", stored)
        tensor.rows += len(values)
        found = digest(values) if picture is None else hashlib.sha256(picture).digest()
        tensor.digests.append(found.hex())

    def whole(self, name: str, symbols: Array) -> None:
        """Append a tensor in one piece, uint8 in the coder context: few values, in no chunks."""
        spec, (piece,), values = encode_tensor(symbols, Storage(coder="context"))
        self._append(name, piece.tobytes())
        self._whole[name] = spec, digest(values)

    def finish(self, manifest: Manifest, limits: Limits = Limits()) -> Manifest:
        """Write the file, check it chunk by chunk, and return the manifest with its digests.

        Equal chunks and manifests give equal bytes (with one version of zstd). Raises OutputError
        where it cannot be written, InvalidFile where manifest and tensors break a rule; whatever
        was there is then unchanged.
        """
        specs = {}
        for name, tensor in sorted(self._tensors.items()):
            if not tensor.digests:
                raise UsageError(f"tensor '{name}' has no rows; give at least one")
            shape = (tensor.rows, *tensor.row)
            chunk, digests = min(tensor.chunk, tensor.rows), tuple(tensor.digests)
            specs[name] = TensorSpec(
                tensor.dtype, shape, tensor.quantiser, tensor.coder, chunk, digests
            )
        specs |= {name: spec for name, (spec, _) in self._whole.items()}
        digests_of = {name: found for name, (_, found) in self._whole.items()}
        manifest = replace(manifest, tensors=dict(sorted(specs.items())))
        manifest = manifest.sealed(digests_of, self._data.hexdigest()[:16])
        header = build(self._entries, manifest.to_json())

        def write(file: BinaryIO) -> None:
            file.write(header)
            self._body.seek(0)
            shutil.copyfileobj(self._body, file, 1 << 20)

        def validate(temporary: Path) -> None:
            with ChunkReader(temporary, limits=limits) as reader:
                reader.check_content()
                reader.check_data()

        write_atomically(self.path, write, validate)
        return manifest

    def close(self) -> None:
        with suppress(OSError):
            self._body.close()

    def __enter__(self) -> ChunkWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, name: str, stored: bytes) -> None:
        self._entries[name] = Entry("U8", (len(stored),), self._size, self._size + len(stored))
        self._size += len(stored)
        self._data.update(stored)
        with self._writing():
            self._body.write(stored)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"{self.path}: cannot write: {error.strerror}") from None
