"""The command `hpo`: a table of verbs, a file for each, and the one place where errors become exit codes."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

import hpo
from hpo.errors import HpoError, InternalError, RunError, did_you_mean

#: Every verb, in the order of the help. A verb is a module of this folder with HELP, add_arguments and run.
VERBS = (
    "submit-job",
    "run",
    "check",
    "generate-grid",
    "import-template",
    "status",
    "list",
    "show",
    "rerun",
    "resume",
    "cancel",
    "best",
    "aggregate-results",
    "keywords",
)

_ASK_FOR_REPORT = "hpo failed by a fault of its own. Please report this, with the lines above."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (0, 1, 2, 70, 130, 143; docs/commands.md)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except HpoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads; leave without a word
        return 0
    except OSError as error:
        print(f"hpo: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        return RunError.exit_code
    except Exception:
        traceback.print_exc()
        print(_ASK_FOR_REPORT, file=sys.stderr)
        return InternalError.exit_code


def _run(words: list[str]) -> int:
    if not words or words[0] in ("help", "-h", "--help"):
        if words and words[0] == "help" and len(words) > 1:
            return _run([words[1], "--help"])
        print(overview())
        return 0
    if words[0] in ("--version", "-V"):
        print(f"hpo {hpo.__version__}")
        return 0
    verb = words[0]
    if verb not in VERBS:
        print(f"hpo: unknown command {verb!r}.{did_you_mean(verb, VERBS)} 'hpo help' lists them.", file=sys.stderr)
        return 2
    module = module_of(verb)
    parser = argparse.ArgumentParser(prog=f"hpo {verb}", description=module.HELP, allow_abbrev=False)
    module.add_arguments(parser)
    try:
        parsed = parser.parse_intermixed_args(words[1:])  # options may stand among KEY=VALUE
    except SystemExit as end:  # argparse has said what is wrong
        return int(end.code or 0)
    return int(module.run(parsed))


def module_of(verb: str) -> ModuleType:
    """The module of a verb; only the one that is needed is imported."""
    return importlib.import_module(f"hpo.cli.{verb.replace('-', '_')}")


def overview() -> str:
    """What `hpo help` prints."""
    lines = [f"  {verb:<18} {module_of(verb).HELP}" for verb in VERBS]
    head = "usage: hpo COMMAND ...\n\nHyperparameter optimization on laptops and clusters.\n"
    tail = "'hpo help COMMAND' tells more. EXP is X007, a folder, or nothing for the last."
    return "\n".join([head, *lines, "", tail])
