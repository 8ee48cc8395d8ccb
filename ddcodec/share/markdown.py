"""Text of a file in Markdown and YAML: it may come from a stranger and must stay text."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def escaped(text: object) -> str:
    """Return any text as Markdown that shows it as it is: no markup, no link, no HTML."""
    plain = html.escape(str(text), quote=False)
    plain = re.sub(r"([\\`*_\[\]#|~$])", r"\\\1", plain)
    # Renderers make links of bare addresses.
    return re.sub(
        r"(?i)://|(?<=www)\.|@", lambda mark: f"&#{ord(mark[0][0])};" + mark[0][1:], plain
    )


def fenced(text: str, language: str) -> str:
    """Return a block of code, its fence longer than any row of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: bool = False) -> str:
    """Return a table; columns of ``numbers``, all but the first, are aligned to the right."""
    align = ["---", *("--:" if numbers else "---" for _ in head[1:])]
    lines = [head, align, *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def front_matter(fields: Mapping[str, Any]) -> str:
    """Return fields (texts, lists of texts, lists of objects) as the YAML head of a card."""
    return "---\n" + "\n".join(_yaml(fields)) + "\n---\n"


def _yaml(fields: Mapping[str, Any], indent: str = "") -> list[str]:
    lines = []
    for name, value in fields.items():
        if isinstance(value, str):
            lines.append(f"{indent}{name}: {_scalar(value)}")
            continue
        lines.append(f"{indent}{name}:")
        for item in value:
            if isinstance(item, str):
                lines.append(f"{indent}- {_scalar(item)}")
            else:
                first, *others = _yaml(item, f"{indent}  ")
                lines += [f"{indent}- {first.lstrip()}", *others]
    return lines


def _scalar(text: str) -> str:
    """Return a text as YAML: bare where that is sure to be one, else as JSON, which YAML reads."""
    words = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9 ./-]*[A-Za-z0-9]", text) and text.lower() not in words:
        return text
    return json.dumps(text, ensure_ascii=False)
