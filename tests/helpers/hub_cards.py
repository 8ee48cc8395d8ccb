"""What the hub refuses in a card's metadata, after its published rules for data set cards."""

from __future__ import annotations

import re
from typing import Any

import yaml

from ddcodec.share.licences import HUB_LICENCES

BLOCK = re.compile(r"^---\n(.*?)\n---\n", re.DOTALL)
SIZES = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M"]
TASKS = ["image-classification"]  # of the hub's tasks, the only one for us
LISTS = ("size_categories", "tags", "task_categories", "source_datasets", "configs")


def metadata(card: str) -> dict[str, Any]:
    """Return the metadata of a card; raises where it has none."""
    found = BLOCK.match(card)
    assert found is not None, card[:200]
    value = yaml.safe_load(found[1])
    assert isinstance(value, dict)
    return value


def faults(card: str) -> list[str]:
    """Return what is wrong with a card, a line each."""
    data, out = metadata(card), []
    if data.get("license") not in HUB_LICENCES:
        out.append(f'"license" must be one of {sorted(HUB_LICENCES)}')
    if data.get("license") == "other" and not re.fullmatch(r"[a-z0-9.-]+", data["license_name"]):
        out.append('"license_name" must be an id in small letters')
    for name in LISTS:
        if not isinstance(data.get(name, []), list):
            out.append(f'"{name}" must be an array')
    out += [f"unknown size {one!r}" for one in data["size_categories"] if one not in SIZES]
    out += [f"unknown task {one!r}" for one in data["task_categories"] if one not in TASKS]
    for name in ("tags", "source_datasets", "size_categories"):
        out += [f"{name}: {one!r} is no text" for one in data[name] if not isinstance(one, str)]
    return out
