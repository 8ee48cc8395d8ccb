"""Distil a folder of images into one file, look at it, and see how good it is.

    python examples/encode_your_images.py photos --ipc 1 --time 60

``photos`` holds train/CLASS/*.png and test/CLASS/*.png (or .jpg and others), all of one size.
"""

import argparse
import sys
from pathlib import Path

import ddcodec
from ddcodec import sources
from ddcodec.evaluate import test_split, train_students

parser = argparse.ArgumentParser(description="Distil a folder of images into one .ddset file.")
parser.add_argument("folder", help="images, one folder a class, under train/ and test/")
parser.add_argument("--ipc", type=float, default=1.0, help="budget in images per class")
parser.add_argument("--time", type=float, default=60.0, help="seconds of distillation")
parser.add_argument("--steps", type=int, help="steps of distillation instead, to repeat exactly")
parser.add_argument("-o", "--out", help="file to write (default: FOLDER.ddset)")
args = parser.parse_args()
effort = {"time": args.time} if args.steps is None else {"steps": args.steps}
effort["profile"] = "quick"  # on a GPU with hours to spend: "paper"
out = Path(args.out or f"{Path(args.folder).resolve().name}.ddset")

try:
    source = sources.load(args.folder)
    images = source.train.images
    print(f"{len(images)} images of {len(source.classes)} classes, {images.nbytes:,} bytes")

    ddcodec.encode(source, ipc=args.ipc, out=out, **effort, overwrite=True)
    facts = ddcodec.info(out)
    print(f"{out}: {facts['pixels']} pixels, {facts['bytes']['total']:,} bytes")
    assert ddcodec.verify(out) == []

    # What a stranger would do who has only the file, and test images of their own.
    ds = ddcodec.load(out)
    result = train_students(ds, test_split(ds, source), nets=4)
    print(f"accuracy {100 * result.mean:.1f} ± {100 * result.std:.1f} % (4 networks)")
except ddcodec.DDSetError as problem:  # every error of the package, one line each
    sys.exit(f"error: {problem}")
