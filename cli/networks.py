"""The table of ``ddcodec train --arch``: what other networks learn from a file."""

from __future__ import annotations

from typing import Any

from .output import accuracy, number, percent, seconds, table

TITLES = {
    "network": "{}",
    "sgd": "its own, by SGD with momentum",
    "fast": "its own, in 10 % of the steps",
}
RANDOM = "random_images_same_bytes"


def network_table(report: dict[str, Any]) -> str:
    """Return the table, the mean of other networks, and a warning where one is due."""
    from ddcodec.evaluate.architectures import learn_less

    found = report["networks"]
    compared = any(RANDOM in row for row in found)
    header = ["network", "norm", "this file", "steps", "optimiser, rate", "bytes", "time"]
    if compared:
        header.insert(3, "random images, same bytes")
    lines = [table([_cells(row, report["nets"], compared) for row in found], header, left=2)]
    if report["transfer"] is not None:
        count = sum(row["kind"] == "network" and not row["own"] for row in found)
        of = "one network" if count == 1 else f"mean of {count} networks"
        lines.append(f"transfer: {percent(report['transfer'])}, {of} other than the file's own")
    if less := learn_less(found):
        lines.append(
            "warning: learns less from the file than from random real images of the same bytes: "
            + ", ".join(less)
        )
    return "\n".join(lines)


def _cells(row: dict[str, Any], nets: int, compared: bool) -> list[str]:
    def score(entry: dict[str, Any] | None) -> str:
        if entry is None:
            return "-"
        return accuracy(entry["accuracy_mean"], None if nets == 1 else entry.get("accuracy_std"))

    return [
        TITLES[row["kind"]].format(row["network"]),
        row["norm"],
        score(row),
        *([score(row[RANDOM])] if compared else []),
        number(row["steps"]),
        f"{row['optimizer']} {row['lr']:g}",
        number(row["bytes"]),
        seconds(row["seconds"]),
    ]
