"""Help of ``encode``: the common options and those of one codec, on one screen."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand

from ddcodec.codecs.options import Common
from ddcodec.codecs.registry import CODECS

from .flags import help_rows, kinds

USUAL = "podd"


class CodecCommand(TyperCommand):
    """A command whose help shows the options of the codec that is asked for.

    ``--help`` shows the main options of posters, ``--codec NAME --help`` all those of a codec.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Remember which codec the words name: ``--help`` is answered before others are read."""
        named = [b for a, b in zip(args, args[1:], strict=False) if a == "--codec"]
        named += [a.partition("=")[2] for a in args if a.startswith("--codec=")]
        ctx.meta["codec"] = next((name for name in named if name in CODECS), None)
        return list(super().parse_args(ctx, args))

    # Typer has no public names for the types of a context and of a formatter.
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the common options, then those of one codec."""
        named = ctx.meta.get("codec")
        options = CODECS[named or USUAL].Options
        written = {name for kind in kinds() for name in kind.names()}
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and param.name not in written:
                heading = "Arguments" if isinstance(param, TyperArgument) else "Options"
                sections[heading].append(record)
        sections["Options"] += help_rows(Common, False)
        if options is not None:
            sections[options.title] = help_rows(options, False)
            if named:
                sections[f"{options.title}, for experts"] = help_rows(options, True)
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Say where the other options are."""
        if ctx.meta.get("codec") is None:
            others = "|".join(name for name, codec in CODECS.items() if codec.Options)
            formatter.write_paragraph()
            formatter.write_text(f"{ctx.command_path} --codec {others} --help shows all options "
                                 "of a codec.")  # fmt: skip
