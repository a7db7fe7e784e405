"""Each decision of our pruners is the one that Optuna's own takes, in one process, over the same reports."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from hpo import pruners
from hpo.inputfile.keywords import KEYWORDS
from hpo.told import Kind, Told, add_report

STEPS = 12

#: our pruner and its options, Optuna's with the same meaning. Steps begin with 1 here and with 0 there.
PAIRS = [
    ("median", {}, lambda: optuna.pruners.MedianPruner(5, 2, 1)),
    ("median", {"startup": 2, "warmup": 3, "interval": 4}, lambda: optuna.pruners.MedianPruner(2, 4, 4)),
    ("asha", {}, lambda: optuna.pruners.SuccessiveHalvingPruner(1, 4, 0)),
    ("asha", {"min_steps": 2, "factor": 2}, lambda: optuna.pruners.SuccessiveHalvingPruner(2, 2, 0)),
    ("hyperband", {"max_steps": STEPS}, lambda: optuna.pruners.HyperbandPruner(1, STEPS, 3)),
    ("hyperband", {"max_steps": 81, "factor": 2}, lambda: optuna.pruners.HyperbandPruner(1, 81, 2)),
    ("wilcoxon", {}, lambda: optuna.pruners.WilcoxonPruner(p_threshold=0.1, n_startup_steps=2)),
    (
        "wilcoxon",
        {"warmup": 4, "threshold": 0.3},
        lambda: optuna.pruners.WilcoxonPruner(p_threshold=0.3, n_startup_steps=4),
    ),
]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Optuna warns of what is experimental."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def curve(dice: random.Random, steps: int = STEPS) -> list[float]:
    """The reports of a training: falling, noisy, now and then not a number."""
    end, speed = dice.uniform(0, 10), dice.uniform(0.05, 1)
    values = [end + 10 * math.exp(-speed * step) + dice.gauss(0, 0.3) for step in range(steps)]
    if dice.random() < 0.05:
        values[dice.randrange(steps)] = math.nan
    return values


def test_each_pruner_of_the_table_is_compared():
    assert {name for name, _, _ in PAIRS} == set(pruners.TABLE)


@pytest.mark.parametrize("name", pruners.TABLE)
def test_each_option_is_a_keyword(name):
    assert {f"pruner_{option}" for option in pruners.TABLE[name].options} <= set(KEYWORDS)


@pytest.mark.parametrize("name", pruners.TABLE)
def test_the_page_has_the_defaults_of_the_table(name):
    page = (Path(__file__).parent.parent / "docs" / "search.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    for option, default in pruners.TABLE[name].options.items():
        assert f"`pruner_{option}` {'(the most epochs)' if default is None else default}" in row


@pytest.mark.parametrize("name", pruners.TABLE)
def test_a_decision_follows_from_the_reports_alone(name):
    """In whatever order the others are told, by whatever process, whatever was asked before; nothing is ended alone."""
    dice = random.Random(name)
    options = pruners.TABLE[name].options
    if "max_steps" in options:
        options = {**options, "max_steps": STEPS}
    lived, decisions = pruners.create(name, options), set()
    for number in range(40):
        others = [_ended(dice, n) for n in range(30) if n != number]
        reports = dict(enumerate(curve(dice)[: dice.randint(1, STEPS)], 1))
        decision = lived.prunes(others, number, reports)
        dice.shuffle(others)
        assert pruners.create(name, options).prunes(others, number, reports) == decision
        decisions.add(decision)
        assert not lived.prunes([], number, dict.fromkeys(reports, 0.0))
    assert decisions == {True, False}


def _ended(dice: random.Random, number: int) -> Told:
    kind = dice.choice(list(Kind))
    reports = dict(enumerate(curve(dice)[: STEPS if kind is Kind.COMPLETED else dice.randrange(STEPS)], 1))
    finite = [value for value in reports.values() if not math.isnan(value)]
    return Told(number, kind, {}, (finite[-1],) if kind is Kind.COMPLETED else (), reports)


@pytest.mark.parametrize(("name", "options", "theirs"), PAIRS)
@pytest.mark.parametrize("running", [1, 5])
def test_every_decision_is_optunas(name, options, theirs, running):
    """`running` trials report in turn, as the trials of so many workers."""
    dice = random.Random(f"{name}/{running}")
    study = optuna.create_study(study_name="hpo", pruner=theirs())
    ours = pruners.create(name, {**pruners.TABLE[name].options, **options})
    told: dict[int, Told] = {}
    going: dict[int, tuple[optuna.Trial, list[float], dict[int, float]]] = {}
    decisions = []
    for _ in range(60 * STEPS):
        while len(going) < running:
            trial = study.ask()
            going[trial.number] = (trial, curve(dice), {})
        number = dice.choice(list(going))
        trial, values, reports = going[number]
        step = len(reports) + 1
        trial.report(values[step - 1], step)
        reports[step] = values[step - 1]
        told[number] = Told(number, Kind.RUNNING, {}, (), dict(reports))
        pruned = ours.prunes([one for n, one in told.items() if n != number], number, reports)
        assert pruned == trial.should_prune(), (number, reports)
        decisions.append(pruned)
        if pruned:
            study.tell(trial, state=TrialState.PRUNED)
            told[number] = Told(number, Kind.PRUNED, {}, (), dict(reports))
        elif dice.random() < 0.01:
            study.tell(trial, state=TrialState.FAIL)
            told[number] = Told(number, Kind.FAILED, {}, (), dict(reports))
        elif step == STEPS:
            value = 0.0 if math.isnan(values[-1]) else values[-1]
            study.tell(trial, value)
            told[number] = Told(number, Kind.COMPLETED, {}, (value,), dict(reports))
        if told[number].kind is not Kind.RUNNING:
            del going[number]
    assert 5 < sum(decisions) < len(decisions)


@pytest.mark.parametrize(("name", "options", "theirs"), [pair for pair in PAIRS if pair[0] in ("asha", "hyperband")])
@pytest.mark.parametrize("stride", [2, 5, 8])
def test_with_a_report_every_few_steps_next_to_none_of_the_decisions_is_another(name, options, theirs, stride):
    """A report comes to several rungs at once. At which a trial was ended Optuna remembers, and we have to conclude.

    It is up to 1 % of the decisions, where there are many rungs. If all rungs counted it were up to a third.
    """
    dice = random.Random(f"{name}/{stride}")
    study = optuna.create_study(study_name="hpo", pruner=theirs())
    ours = pruners.create(name, {**pruners.TABLE[name].options, **options})
    told: dict[int, Told] = {}
    decisions = []
    for _ in range(200):
        trial, reports = study.ask(), {}
        for step, value in enumerate(curve(dice, STEPS * stride), 1):
            if step % stride:
                continue
            trial.report(value, step)
            reports[step] = value
            pruned = trial.should_prune()
            decisions.append((pruned, ours.prunes(list(told.values()), trial.number, reports)))
            if pruned:
                break
        study.tell(trial, 0.0 if not pruned else None, state=TrialState.PRUNED if pruned else TrialState.COMPLETE)
        told[trial.number] = Told(trial.number, Kind.PRUNED if pruned else Kind.COMPLETED, {}, (), reports)
    assert len({pruned for pruned, _ in decisions}) == 2
    assert sum(a != b for a, b in decisions) <= 0.02 * len(decisions)


def test_a_step_that_is_reported_again_takes_back_the_later_ones():
    reports: dict[int, float] = {}
    for step, value in [(1, 5.0), (2, 4.0), (3, 3.0), (2, 4.5)]:
        add_report(reports, step, value)
    assert reports == {1: 5.0, 2: 4.5}
