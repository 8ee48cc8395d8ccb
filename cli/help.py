"""Help of a command with many options: under headings, the common ones first."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand


class GroupedCommand(TyperCommand):
    """Lists each option under its ``rich_help_panel``, in plain text."""

    # Typer has no public names for the types of a context and of a formatter.
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options without a heading, then those under each heading."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                own = getattr(param, "rich_help_panel", None) or "Options"
                heading = "Arguments" if isinstance(param, TyperArgument) else own
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)
