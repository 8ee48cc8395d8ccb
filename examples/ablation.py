"""What each choice of an encode is worth: a table, made by ddcodec's own commands.

    python examples/ablation.py digits --ipc 0.4 --steps 400 --seeds 2 -o docs/ablation.md

Every row is one encode command that differs from the first row of its group in one choice. Files
are tested on a held-out fifth of the training split, never on the test split. What is done is kept
in a folder, so the script goes on where it was stopped and repeats nothing.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from ddcodec import __version__, sources

# Group -> row -> the options in which it differs from a plain `ddcodec encode`.
GROUPS = {
    "Labels": {
        "learned, as the profile chooses": "",
        "learned, area pooling": "--label-pooling area",
        "learned, one cell a patch": "--label-pooling cell",
        "fixed, majority": "--labels fixed",
    },
    "Class order": {
        "greedy, by mean image": "--order image",
        "searched, by mean image": "--order image --order-search auto",
        "greedy, by colour": "--order colour",
        "as given": "--order given",
    },
    "Where patches lie": {
        "even, edge to edge": "--patches 10x2",
        "balanced": "--patches 10x2 --origins balanced",
        "cyclic": "--patches 10x2 --origins cyclic",
    },
    "How many patches": {
        "5x2": "--patches 5x2",
        "9x2": "--patches 9x2",
        "15x3": "--patches 15x3",
    },
    "Posters in stages, as many steps in all": {
        "one poster": "",
        "2 stages, decay as printed": "--codec ppodd --stages 2",
        "2 stages, decay favours recent": "--codec ppodd --stages 2 --stage-direction recent",
        "3 stages, decay as printed": "--codec ppodd --stages 3",
        "3 stages, decay favours recent": "--codec ppodd --stages 3 --stage-direction recent",
        "3 stages, no boost": "--codec ppodd --stages 3 --stage-boost 1",
        "3 stages, all alike": "--codec ppodd --stages 3 --stage-decay 0 --stage-boost 1",
        "3 stages, each from noise": "--codec ppodd --stages 3 --stage-start noise",
        "3 stages, each from a blend": "--codec ppodd --stages 3 --stage-start blend",
        "5 stages, decay as printed": "--codec ppodd --stages 5",
        "one poster as large as three": "--ipc 1.2",
    },
}
HELD_OUT = 5  # every fifth training image of a class
NETS = 8


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a name or path as for ddcodec encode")
    parser.add_argument("--ipc", default="0.4")
    parser.add_argument("--steps", default="400", help="outer steps of every encode")
    parser.add_argument("--seeds", type=int, default=2, help="encodes of every row")
    parser.add_argument("--groups", nargs="*", help="parts of the names of groups to run")
    parser.add_argument("--rows", nargs="*", help="parts of the names of rows to run")
    parser.add_argument("--work", type=Path, default=Path("ablation"), help="folder for files")
    parser.add_argument("-o", "--out", type=Path, help="Markdown file; stdout without it")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = cut(options.source, options.work)
    text = [
        "# What each choice is worth\n",
        f"`python examples/ablation.py {options.source} --ipc {options.ipc} --steps {options.steps}"
        f" --seeds {options.seeds}`, ddcodec {__version__}. Accuracy in percent on a held-out fifth"
        f" of the training split: mean of {options.seeds} encodes of {NETS} networks each, with"
        " their standard deviation over encodes. Bytes are those of the whole file.\n",
    ]
    for group, rows in GROUPS.items():
        if options.groups and not any(part in group for part in options.groups):
            continue
        text += [
            f"## {group}\n",
            "| | options | accuracy | pixels | bytes |",
            "|---|---|---|---|---|",
        ]
        for name, words in rows.items():
            if options.rows and not any(part in name for part in options.rows):
                continue
            found = [measure(data, words, seed, options) for seed in range(options.seeds)]
            mean = 100 * np.mean([f["accuracy"] for f in found])
            spread = 100 * np.std([f["accuracy"] for f in found])
            size = round(np.mean([f["bytes"] for f in found]))
            shown = f"`{words}`" if words else ""
            pixels = found[0]["pixels"]
            text.append(f"| {name} | {shown} | {mean:.1f} ± {spread:.1f} | {pixels:,} | {size:,} |")
        text.append("")
    report = "\n".join(text)
    if options.out:
        options.out.write_text(report, encoding="utf-8")
    else:
        print(report)


def cut(source, folder):
    """Write the training split of a source as an .npz whose test split is a fifth of it."""
    path = folder / f"{Path(source).stem}-held-out.npz"
    if path.exists():
        return path
    loaded = sources.load(source)
    images, labels = loaded.train.images, np.asarray(loaded.train.labels)
    held = np.zeros(len(labels), dtype=bool)
    for owner in range(len(loaded.classes)):
        held[np.flatnonzero(labels == owner)[::HELD_OUT]] = True
    np.savez_compressed(
        path,
        train_images=images[~held],
        train_labels=labels[~held],
        test_images=images[held],
        test_labels=labels[held],
        class_names=np.array(loaded.classes),
    )
    return path


def measure(data, words, seed, options):
    """Return accuracy, bytes and pixels of one encode; from the folder where it was done before."""
    name = f"{options.ipc}-{options.steps}-{words.replace(' ', '')}-{seed}"
    kept = options.work / f"{data.stem}-{name.replace('--', '-')}.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    file = kept.with_suffix(".ddset")
    ddcodec("encode", data, "--ipc", options.ipc, "--steps", options.steps, "--seed", seed,
            "--profile", "quick", *words.split(), "-o", file, "-f")  # fmt: skip
    facts = json.loads(ddcodec("info", file, "--json"))
    tested = json.loads(ddcodec("train", file, "--test", data, "--nets", NETS, "--json"))
    found = {
        "accuracy": tested["accuracy_mean"],
        "bytes": facts["bytes"]["total"],
        "pixels": facts["pixels"],
    }
    kept.write_text(json.dumps(found), encoding="utf-8")
    print(f"{words or 'plain'}, seed {seed}: {100 * found['accuracy']:.1f} %", file=sys.stderr)
    return found


def ddcodec(*words):
    command = [sys.executable, "-m", "ddcodec", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
