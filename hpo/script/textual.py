"""What the text of an R or a bash model script says, read carefully but without a grammar of these languages.

Whatever is found here is a hint: it makes warnings, never errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hpo.script.reads import RECORD, Read, Reads

#: A comment, or a string (which may contain the sign of a comment); a backslash escapes.
_R_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_R_READ = re.compile(
    r"""\b(?:candle_params|hyperparams)\s*
        (?: \[\[? \s* (?: "(?P<double>[^"\n]*)" | '(?P<single>[^'\n]*)' ) \s* \]
          | \$ \s* (?: `(?P<quoted>[^`\n]+)` | (?P<bare>[A-Za-z.][\w.]*) ) )""",
    re.VERBOSE,
)
_R_WHOLE = re.compile(r"\b(?:candle_params|hyperparams)\b(?!\s*(?:\[\[?\s*[\"']|\$))")
_R_ELSEWHERE = re.compile(r"\bsource\s*\(|" + re.escape(RECORD))
_R_VALUE = re.compile(r"\b(?:candle_value_to_return|val_to_return)\b")

_BASH_COMMENT = re.compile(r"(?:^|(?<=[\s;&|(]))\#[^\n]*", re.MULTILINE)
_BASH_READ = re.compile(r"""\bcandle_get_param[ \t]+(["']?)(?P<name>[A-Za-z_][\w.-]*)\1(?![\w$])""")
_BASH_COMPUTED = re.compile(r"""\bcandle_get_param[ \t]+["']?[^\s"'A-Za-z_]""")
#: Another file that may ask, or the file that has all hyperparameters.
_BASH_ELSEWHERE = re.compile(r"^\s*(?:source|\.)\s|(?:\bbash|\bsh)\s+\S+\.sh\b|" + re.escape(RECORD), re.MULTILINE)
_BASH_VALUE = re.compile(r"\bcandle_value_to_return\b")


def r_reads(text: str) -> Reads:
    """Return the names that an R script takes from `candle_params` or `hyperparams`."""
    code = _R_TOKEN.sub(lambda m: _blank(m[0]) if m[0].startswith("#") else m[0], text)
    names = [Read(m[m.lastgroup or 0], _line(code, m.start())) for m in _R_READ.finditer(code)]
    return Reads(tuple(names), everything=bool(_R_WHOLE.search(code) or _R_ELSEWHERE.search(code)))


def bash_reads(text: str) -> Reads:
    """Return the names that a bash script asks `candle_get_param` for."""
    code = _BASH_COMMENT.sub(lambda m: _blank(m[0]), text)
    names = [Read(m["name"], _line(code, m.start())) for m in _BASH_READ.finditer(code)]
    return Reads(tuple(names), everything=bool(_BASH_COMPUTED.search(code) or _BASH_ELSEWHERE.search(code)))


def _blank(comment: str) -> str:
    return " " * len(comment)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


@dataclass(frozen=True, slots=True)
class TextLanguage:
    """A language of which only the text is read.

    suffixes: of its files, in lower case. reads: finds the names that a script takes. value: what names the variable in
    which a script leaves its value.
    """

    suffixes: tuple[str, ...]
    reads: Callable[[str], Reads]
    value: re.Pattern[str]


#: By the names of `registry.RUNNERS`.
TABLE: Mapping[str, TextLanguage] = {
    "rscript": TextLanguage((".r",), r_reads, _R_VALUE),
    "bash": TextLanguage((".sh", ".bash"), bash_reads, _BASH_VALUE),
}
