"""The experiment as it was understood, for a reader."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hpo.checks.checked import Checked
from hpo.checks.cluster import job_lines
from hpo.checks.document import LISTED, parameters_json, trials_json
from hpo.errors import Complaint
from hpo.inputfile import InputFile

SHOWN = 5  # trials
WIDTH = 100  # columns, except for paths and warnings, which are never cut

_FORMS = {
    "run": "run(hyperparams)",
    "canonical": "initialize_parameters and run(params)",
    "plain": "a plain script that reads the global dictionary",
}
_EPOCHS = ("epochs", "nb_epochs", "num_epochs", "n_epochs")
_ADDED_UP = 100_000  # trials whose epochs are added up, at most


def describe(checked: Checked) -> None:
    """Print what was understood."""
    for line in _lines(checked):
        print(line)


def _lines(checked: Checked) -> Iterator[str]:
    given = checked.inputfile
    yield f"{given.path.name}: {_summary(checked)}"
    yield from _section("Control", _table(_control_rows(given)))
    yield from _section("Search", checked.search.notes if checked.search else ())
    yield from _section("Script", _script_lines(checked))
    if not given.single_run:
        yield from _section("Parameters", _table(_parameter_rows(given)))
    varied = set() if given.single_run else set(given.space.names)
    fixed = {name: value for name, value in given.defaults.items() if name not in varied}
    yield from _section("Fixed values", _table([name, repr(value)] for name, value in fixed.items()))
    yield from _section("First trials", _trial_lines(checked))
    yield from _section("Cost", _cost_lines(checked))
    yield from _section("Notes", _wrapped(checked.notes))
    yield from _section("Warnings", _wrapped(checked.warnings))
    yield from _section("Slurm", job_lines(given, checked.destination, checked.n_trials))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    body = list(lines)
    if body:
        yield ""
        yield title
        yield from (f"  {line}".rstrip() for line in body)


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Align columns; the last one is cut so that a line fits."""
    listed = [list(row) for row in rows]
    columns = list(zip(*listed, strict=True))[:-1]
    widths = [min(max(map(len, column)), 40) for column in columns]
    lines = ("  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in listed)
    return [_cut(line) for line in lines]


def _cut(line: str) -> str:
    room = WIDTH - 2
    return line if len(line) <= room else line[: room - 1] + "…"


def _wrapped(complaints: Iterable[Complaint]) -> Iterator[str]:
    for complaint in complaints:
        yield from textwrap.wrap(str(complaint), WIDTH - 2, subsequent_indent="  ", break_long_words=False)


# ---- what is shown


def _summary(checked: Checked) -> str:
    given = checked.inputfile
    if given.single_run:
        return "a single run of the defaults, here"
    workers = given.control["nworkers"]
    number = "as many trials as max_hours allows" if checked.n_trials is None else _count(checked.n_trials, "trial")
    workflow = given.control["workflow"]
    sampler = "" if checked.sampler == workflow else f" (sampler {checked.sampler})"
    return f"{workflow} search{sampler}, {number}, {workers} at a time"


def _count(number: int, what: str) -> str:
    return f"{number:,}".replace(",", " ") + f" {what}{'' if number == 1 else 's'}"


def _control_rows(given: InputFile) -> list[list[str]]:
    """Return name, value and place of every keyword that was given."""
    return [[name, given.shown(name), place] for name, place in given.given.items()]


def _script_lines(checked: Checked) -> Iterator[str]:
    analysis = checked.analysis
    script = analysis.script
    yield str(script.path)
    yield f"{script.runner}: {_FORMS[script.form]}" if script.form else script.runner
    others = [file.name for file in analysis.files if file != script.path]
    if others:
        yield _cut(f"with {_count(len(others), 'local module')}: {', '.join(others)}")
    names = ", ".join(dict.fromkeys(read.name for read in analysis.reads.names))
    if names:
        yield _cut(f"reads {names}{', and names that cannot be seen' if analysis.reads.everything else ''}")


def _parameter_rows(given: InputFile) -> Iterator[list[str]]:
    for row in parameters_json(given):
        default = given.defaults.get(row["name"])
        kind = "ordered" if row.get("ordered") else row["kind"]
        yield [row["name"], kind, _values_text(row), "" if default is None else f"default {default!r}"]


def _values_text(row: Mapping[str, Any]) -> str:
    if "choices" in row:
        texts = [repr(choice) for choice in row["choices"]]
        shown = ", ".join(texts)
        more = " or more" if len(texts) == LISTED else ""
        return shown if len(shown) <= 38 else f"{', '.join(texts[:2])}, … ({len(texts)}{more} values)"
    text = f"{row['low']} to {row['high']}"
    if row["step"] not in (None, 1):
        text += f" by {row['step']}"
    return text + (", logarithmic" if row["log"] else "") + (", transformed" if "transform" in row else "")


def _trial_lines(checked: Checked) -> Iterator[str]:
    for row in trials_json(checked, SHOWN):
        values = " ".join(f"{name}={value!r}" for name, value in row.items() if name != "id")
        yield _cut(f"{row['id']}  {values}")
    if checked.listed_trials > SHOWN:
        yield f"… and {checked.listed_trials - SHOWN} more"


def _cost_lines(checked: Checked) -> Iterator[str]:
    given = checked.inputfile
    number, workers = checked.n_trials, given.control["nworkers"]
    if given.single_run or number is None:
        return
    rounds = -(-number // workers)
    times = "as long as one trial takes" if rounds == 1 else f"{_count(rounds, 'time')} as long as one trial takes"
    yield f"{times}; `hpo run {given.path.name}` runs one"
    timeout = given.control["trial_timeout"]
    if timeout:
        yield f"at most {rounds * timeout / 3600:.2g} hours, since trial_timeout = {given.shown('trial_timeout')}"
    epochs = _all_epochs(checked)
    if epochs:
        yield f"{_count(epochs, 'epoch')} in all"


def _all_epochs(checked: Checked) -> int | None:
    """Return the sum of the epochs of all trials, where the search has epochs and is not too large to be added up."""
    given = checked.inputfile
    name = next((name for name in _EPOCHS if name in given.defaults or name in given.space.names), None)
    number = checked.n_trials or 0
    if name is None or number > _ADDED_UP:
        return None
    if name not in given.space.names:
        return given.defaults[name] * number if isinstance(given.defaults[name], int) else None
    if number > checked.listed_trials:
        return None
    epochs = [given.space.point(n).get(name, given.defaults.get(name)) for n in range(number)]
    whole = [e for e in epochs if isinstance(e, int)]
    return sum(whole) if len(whole) == number else None
