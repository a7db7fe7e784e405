"""`hpo keywords`: what &control may say."""

from __future__ import annotations

import argparse
import textwrap

from hpo.errors import UsageError, did_you_mean
from hpo.inputfile.keywords import GROUPS, SPELLINGS, Keyword, Use

HELP = "the &control keywords of input files; with a name, all about one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """[NAME] [--markdown]"""
    parser.add_argument("name", metavar="NAME", nargs="?", help="a keyword, also by its older name")
    parser.add_argument("--markdown", action="store_true", help="all of them as the page docs/keywords.md")


def run(args: argparse.Namespace) -> int:
    """Print one keyword, or all; 0."""
    if args.name is not None:
        print(describe(args.name))
    else:
        print(as_markdown() if args.markdown else as_text())
    return 0


def describe(name: str) -> str:
    """Return all that the table says of a keyword; `UsageError` for an unknown one."""
    row = SPELLINGS.get(name.casefold())
    if row is None:
        raise UsageError(f"unknown &control keyword '{name}'.{did_you_mean(name, SPELLINGS)}")
    facts = [("takes", row.type.name), ("default", "required" if row.required else row.shown(row.default))]
    facts += [("older name", alias) for alias in row.aliases]
    facts += [("used by", row.use.value)] if row.use is not Use.ALWAYS else []
    facts += [("available", ", ".join(row.available))] if row.available else []
    return "\n".join([f"{row.name}: {row.help}", *(f"  {what:<11}{value}" for what, value in facts)])


def as_text() -> str:
    """Return all keywords for a terminal, a paragraph for each group."""
    paragraphs = []
    for group, rows in GROUPS.items():
        lines = [f"  {row.name:<20} {_default(row):<12} {_wrapped(_remarks(row))}" for row in rows]
        paragraphs.append("\n".join([f"{group}:", *lines]))
    return "\n\n".join(["  keyword              default", *paragraphs])


def as_markdown() -> str:
    """Return the page docs/keywords.md."""
    parts = [_HEAD]
    for group, rows in GROUPS.items():
        table = [f"## {group}", "", "| keyword | takes | default | |", "|---|---|---|---|"]
        for row in rows:
            table.append(f"| {_names(row)} | {_cell(row.type.name)} | {_default(row)} | {_cell(_remarks(row))} |")
        parts.append("\n".join(table))
    return "\n\n".join(parts)


_HEAD = """# The &control keywords

Written by `hpo keywords --markdown`, from the table that the parser uses; `hpo keywords NAME` tells about one.
Keywords are written in any letter case; [input-files.md](input-files.md) says how values are."""


def _default(row: Keyword) -> str:
    return "required" if row.required else row.shown(row.default)


def _names(row: Keyword) -> str:
    return f"`{row.name}`" + "".join(f", formerly `{alias}`" for alias in row.aliases)


def _remarks(row: Keyword) -> str:
    """The row's help, and what of it this version lacks."""
    text = row.help
    if row.use not in (Use.ALWAYS, Use.SCHEDULER):
        text += f" ({row.use.value})"
    if row.available:
        text += f" (in this version: {', '.join(row.available)})"
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _wrapped(text: str) -> str:
    return ("\n" + " " * 36).join(textwrap.wrap(text, 80))
