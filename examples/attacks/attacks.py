"""Ten hostile .ddset files and what happens to each. Run it and read along.

    python examples/attacks/attacks.py

Every attack takes a small valid file apart, changes it as someone with bad intent would, puts it
together again, and shows what ``ddcodec.load`` says. Nothing is executed, nothing large allocated.
"""

import hashlib
import json
import resource
import tempfile
import time
from pathlib import Path

import zstandard

import ddcodec

VALID = Path(__file__).parents[2] / "spec" / "vectors" / "valid" / "podd-zstd-8-bits.ddset"
DATA = VALID.read_bytes()
LENGTH = int.from_bytes(DATA[:8], "little")
HEADER, BODY = json.loads(DATA[8 : 8 + LENGTH]), DATA[8 + LENGTH :]
MANIFEST = HEADER.pop("__metadata__")["ddset"]


def build(manifest=MANIFEST, body=BODY, header=None):
    """Return the bytes of a file made of these parts."""
    if not isinstance(manifest, str):
        manifest = canonical(manifest)
    whole = {"__metadata__": {"ddset": manifest}, **(header or HEADER)}
    raw = canonical(whole).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw + body


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def changed(path, value):
    """Return the manifest with the field at ``path`` set to ``value``."""
    manifest = json.loads(MANIFEST)
    *parents, last = path.split("/")
    place = manifest
    for parent in parents:
        place = place[parent]
    place[last] = value
    return manifest


def header_that_never_ends():
    """The length field promises 8 EiB: a reader that trusts it allocates until it dies."""
    return (2**63 - 1).to_bytes(8, "little") + DATA[8:]


def two_faces():
    """A key stands twice. Most JSON parsers keep one silently, but not all the same one."""
    return build(MANIFEST.replace('"classes":', '"classes":["cat"],"classes":', 1))


def bottomless_brackets():
    """Nested brackets overflow the stack of a recursive parser."""
    return build("[" * 100_000)


def zip_bomb():
    """A tiny zstd frame that unpacks to 256 MiB; decoders believe the size that it declares."""
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(256 << 20))
    labels = HEADER["labels"]["data_offsets"]
    body = bomb + BODY[labels[1] :]
    header = {
        "labels": {"dtype": "U8", "shape": [len(bomb)], "data_offsets": [0, len(bomb)]},
        "poster": {**HEADER["poster"], "data_offsets": [len(bomb), len(body)]},
    }
    return build(changed("data_digest", hashlib.sha256(body).hexdigest()[:16]), body, header)


def poster_beyond_memory():
    """Shape [1, 2^30, 2^30] fits in forty bytes of JSON and in no computer."""
    return build(changed("tensors/poster/shape", [1, 2**30, 2**30]))


def a_patch_at_every_pixel():
    """64 million patches of one poster: each is a view, but their labels would be 1.5 GB."""
    return build(changed("patches", {"grid": [8000, 8000]}))


def path_as_a_name():
    """A tensor called ../../.bashrc, for readers that unpack tensors into files."""
    return build(header={"../../.bashrc": HEADER["labels"], **HEADER})


def pickle_in_disguise():
    """A pickle that would run a command, named x.ddset: the safest field is one never opened."""
    return b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x08echo own\x85R."


def message_that_draws():
    """A class name that clears the terminal and writes 'valid' when an error shows it."""
    return build(changed("classes", ["\x1b[2J\x1b[Hvalid", "bee", "zebra"]))


def one_flipped_bit():
    """No malice at all, only a bad disk: one bit of one label."""
    return DATA[: 8 + LENGTH] + bytes([BODY[0] ^ 1]) + BODY[1:]


ATTACKS = [
    header_that_never_ends,
    two_faces,
    bottomless_brackets,
    zip_bomb,
    poster_beyond_memory,
    a_patch_at_every_pixel,
    path_as_a_name,
    pickle_in_disguise,
    message_that_draws,
    one_flipped_bit,
]

if __name__ == "__main__":
    assert build() == DATA  # the unchanged parts make the valid file again
    assert ddcodec.verify(VALID) == []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.ddset"
        for attack in ATTACKS:
            path.write_bytes(attack())
            start = time.perf_counter()
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            findings = ddcodec.verify(path)
            milliseconds = 1000 * (time.perf_counter() - start)
            more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
            print(f"{attack.__name__}: {path.stat().st_size:,} bytes")
            print(f"    {attack.__doc__}")
            print(f"    {findings[0].code} {findings[0].message}")
            print(f"    {milliseconds:.1f} ms, {more:.0f} MiB more memory\n")
