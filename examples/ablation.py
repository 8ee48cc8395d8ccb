"""What each choice of an encode is worth: a table, made by ddcodec's own commands.

    python examples/ablation.py digits --ipc 0.4 --steps 300 --seeds 4 -o digits.md

Every row is one encode command that differs from the plain one in one choice. Files are tested on
a held-out part of the training split, never on the test split. What is done is kept in a folder,
so the script goes on where it was stopped and repeats nothing.
"""

import argparse
import contextlib
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
from ddcodec_cli.app import main

from ddcodec import __version__, sources

PLAIN = "--profile quick --order image"  # of every row that says nothing else
THREE = "--codec ppodd --stages 3"
FIVE = "--codec ppodd --stages 5"

# Group -> row -> the options in which it differs from the plain command. With (options, others)
# BYTES in the options stands for the size of the file that the others make with the same seed;
# 3IPC stands for three times the budget.
GROUPS = {
    "Labels": {
        "learned, one cell a patch": "--label-pooling cell",
        "learned, pooled by area": "--label-pooling area",
        "fixed, majority": "--labels fixed",
    },
    "Class order": {
        "greedy, by mean image": "",
        "as given": "--order given",
        "random": "--order random",
    },
    "How many patches": {
        "5x2": "--patches 5x2",
        "10x2": "--patches 10x2",
        "15x3": "--patches 15x3",
    },
    "Posters in stages: as many pixels each and as many steps in all": {
        "one poster": "",
        **{f"{n} stages": f"--codec ppodd --stages {n}" for n in range(3, 8)},
    },
    "Posters in stages: as many bytes in all": {
        "one poster in the bytes of 3 stages": ("--bytes BYTES --quality high", THREE),
        "one poster in the bytes of 5 stages": ("--bytes BYTES --quality high", FIVE),
        "5 stages cut to the bytes of 3": (FIVE + " --max-stages-bytes BYTES", THREE),
        "one poster of as many pixels as 3 stages": "--ipc 3IPC",
    },
    "Posters in stages: options": {
        "3 stages, decay favours recent": THREE + " --stage-direction recent",
        "3 stages, no boost": THREE + " --stage-boost 1",
        "3 stages, all alike": THREE + " --stage-decay 0 --stage-boost 1",
        "3 stages, each from noise": THREE + " --stage-start noise",
        "3 stages, each from a blend": THREE + " --stage-start blend",
    },
}


def ablate():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a name or path as for ddcodec encode")
    parser.add_argument("--ipc", default="0.4")
    parser.add_argument("--steps", default="400", help="outer steps of every encode")
    parser.add_argument("--seeds", type=int, default=2, help="encodes of every row")
    parser.add_argument("--nets", type=int, default=8, help="networks trained on every file")
    parser.add_argument(
        "--held-out", type=int, default=5, help="every so many training images of a class one"
    )
    parser.add_argument("--groups", nargs="*", help="parts of the names of groups to run")
    parser.add_argument("--rows", nargs="*", help="parts of the names of rows to run")
    parser.add_argument("--work", type=Path, default=Path("ablation"), help="folder for files")
    parser.add_argument("-o", "--out", type=Path, help="Markdown file; stdout without it")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = cut(options)
    text = [
        f"`python examples/ablation.py {options.source} --ipc {options.ipc} --steps {options.steps}"
        f" --seeds {options.seeds} --nets {options.nets} --held-out {options.held_out}`, ddcodec"
        f" {__version__}: accuracy in percent on the held-out part, one training image in"
        f" {options.held_out}; each file by {options.nets} networks; mean and standard deviation"
        f" of {options.seeds} encodes. Bytes are those of the whole file.\n",
    ]
    for group, rows in GROUPS.items():
        if options.groups and not any(part in group for part in options.groups):
            continue
        text += [
            f"### {group}\n",
            "| | options | accuracy | pixels | bytes |",
            "|---|---|---|---|---|",
        ]
        for name, words in rows.items():
            if options.rows and not any(part in name for part in options.rows):
                continue
            words, others = (words, "") if isinstance(words, str) else words
            found = []
            for seed in range(options.seeds):
                asked = words.replace("3IPC", f"{3 * float(options.ipc):g}")
                if others:
                    asked = asked.replace(
                        "BYTES", str(measure(data, others, seed, options)["bytes"])
                    )
                found.append(measure(data, asked, seed, options))
            shown = f"`{words}`" if words else ""
            cells = [
                mean_and_spread([100 * f["accuracy"] for f in found], ".1f"),
                f"{round(np.mean([f['pixels'] for f in found])):,}",
                mean_and_spread([f["bytes"] for f in found], ",.0f"),
            ]
            text.append(f"| {name} | {shown} | {' | '.join(cells)} |")
        text.append("")
    report = "\n".join(text)
    if options.out:
        options.out.write_text(report, encoding="utf-8")
    else:
        print(report)


def mean_and_spread(values, style):
    """Return the mean and the standard deviation (n - 1) of values; of one value just itself."""
    mean = format(np.mean(values), style)
    return f"{mean} ± {np.std(values, ddof=1):{style}}" if len(values) > 1 else mean


def cut(options):
    """Write the training split of a source as an .npz whose test split is a part of it."""
    path = options.work / f"{Path(options.source).stem}-held-out-{options.held_out}.npz"
    if path.exists():
        return path
    loaded = sources.load(options.source)
    images, labels = loaded.train.images, np.asarray(loaded.train.labels)
    held = np.zeros(len(labels), dtype=bool)
    for owner in range(len(loaded.classes)):
        held[np.flatnonzero(labels == owner)[:: options.held_out]] = True
    np.savez(
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
    plain = PLAIN.split(" --order")[0] if "--order " in words else PLAIN
    budget = "" if "--bytes" in words or "--ipc" in words else f"--ipc {options.ipc}"
    asked = f"{plain} {budget} --steps {options.steps} --seed {seed} {words}".split()
    name = re.sub(r"[^\w.]+", "-", f"{data.stem} {options.nets} {' '.join(asked)}")
    kept = options.work / f"{name}.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    file = kept.with_suffix(".ddset")
    ddcodec("encode", data, *asked, "-o", file, "-f")
    facts = json.loads(ddcodec("info", file, "--json"))
    tested = json.loads(ddcodec("train", file, "--test", data, "--nets", options.nets, "--json"))
    found = {
        "accuracy": tested["accuracy_mean"],
        "bytes": facts["bytes"]["total"],
        "pixels": facts["pixels"],
    }
    kept.write_text(json.dumps(found), encoding="utf-8")
    print(f"{words or 'plain'}, seed {seed}: {100 * found['accuracy']:.1f} %", file=sys.stderr)
    return found


def ddcodec(*words):
    """Run a command as the shell would, in this process: starting one for each takes seconds."""
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        code = main([str(word) for word in words])
    if code:
        sys.exit(code)
    return stdout.getvalue()


if __name__ == "__main__":
    ablate()
