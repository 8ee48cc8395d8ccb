"""Licences by the names that the hub has for them, and where their texts are."""

from __future__ import annotations

import re

# https://huggingface.co/docs/hub/repositories-licenses
HUB_LICENCES = frozenset({
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bigcode-openrail-m",
    "bigscience-bloom-rail-1.0", "bigscience-openrail-m", "bsd", "bsd-2-clause", "bsd-3-clause",
    "bsd-3-clause-clear", "bsl-1.0", "c-uda", "cc", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0",
    "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0",
    "cdla-sharing-1.0", "creativeml-openrail-m", "deepfloyd-if-license", "ecl-2.0", "epl-1.0",
    "epl-2.0", "etalab-2.0", "eupl-1.1", "gemma", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "isc",
    "lgpl", "lgpl-2.1", "lgpl-3.0", "lgpl-lr", "llama2", "lppl-1.3c", "mit", "mpl-2.0", "ms-pl",
    "ncsa", "odbl", "odc-by", "ofl-1.1", "openrail", "openrail++", "osl-3.0", "other", "pddl",
    "postgresql", "unknown", "unlicense", "wtfpl", "zlib",
})  # fmt: skip
# SPDX identifiers (https://spdx.org/licenses/) that the hub calls otherwise.
_ALIASES = {"odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "pddl-1.0": "pddl", "c-uda-1.0": "c-uda"}


def hub_licence(licence: str | None) -> dict[str, str]:
    """Return the fields of a card that name a licence, an SPDX expression or any text.

    None is ``unknown``; what the hub has no name for is ``other``, with a ``license_name``.
    """
    if licence is None:
        return {"license": "unknown"}
    name = re.sub(r"-(only|or-later)$", "", licence.lower())
    name = _ALIASES.get(name, name)
    if name in HUB_LICENCES and name != "other":
        return {"license": name}
    slug = re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-.")
    return {"license": "other", "license_name": slug[:100] or "unnamed"}


def licence_page(licence: str) -> str:
    """Return where SPDX describes a licence; any other text as it is."""
    single = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", licence)
    known = single and hub_licence(licence)["license"] not in ("other", "unknown")
    return f"https://spdx.org/licenses/{licence}.html" if known else licence
