"""Every cap that a reader applies before it allocates, in one frozen object."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE_SIDE = 4096  # pixels that the images of a source may be scaled to, at most
TEST_SHARES = (0.001, 0.9)  # of the training images, that may be held out as a test split


@dataclass(frozen=True)
class Limits:
    """Caps on what a file may ask for. Pass an object with other values to ``load`` or ``verify``.

    Attributes:
        file_bytes: size of the file; a ChunkReader, which never holds it, does not ask.
        header_bytes: size of the safetensors header, manifest included.
        nesting: depth of the manifest's JSON.
        tensors: stored tensors, chunks counted one by one.
        dimensions: of one tensor.
        decoded_bytes: of all tensors together after decoding; of one chunk for a ChunkReader.
        classes: class names.
        patches: training samples that a file may define, patches or stored images.
        zstd_window: bytes of zstd's decompression window.
        context_symbols: of a tensor in the coder context, which decodes about a million a second.
        teacher_products: multiplications to label all samples by the network in a file; a core
            does some 10^10 a second.
    """

    file_bytes: int = 8 << 30
    header_bytes: int = 4 << 20
    nesting: int = 16
    tensors: int = 100_000
    dimensions: int = 8
    decoded_bytes: int = 4 << 30
    classes: int = 100_000
    patches: int = 1_000_000
    zstd_window: int = 8 << 20
    context_symbols: int = 4 << 20
    teacher_products: int = 10**14
