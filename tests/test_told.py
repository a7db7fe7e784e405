"""What samplers are told of trials that failed, diverged, run again or were paused."""

from __future__ import annotations

import pytest

from hpo.ledger import AttemptRecord, TrialRecord
from hpo.told import FOUND, Kind, Told, softened, tell, without_diverged, worst

FAILED = {"e": "finished", "failure": {"kind": "exception", "detail": "no"}}


def attempt(number: int, outcome: dict[str, object] | None = None, *reports: tuple[int, float]) -> AttemptRecord:
    finished = {} if outcome is None else {"w": outcome}
    return AttemptRecord(
        number, params={"x": 1}, system_attrs={FOUND: {"x": 1}}, reports=list(reports), finished=finished
    )


def completed(*values: float) -> list[Told]:
    return [Told(n, Kind.COMPLETED, {}, (value,)) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("attempts", "kind"),
    [
        ([attempt(1)], Kind.RUNNING),
        ([attempt(1, FAILED)], Kind.FAILED),
        ([attempt(1, {"value": 1.0})], Kind.COMPLETED),
        ([attempt(1, {"value": 1.0, "pruned": True})], Kind.PRUNED),
        ([attempt(1, FAILED), attempt(2)], Kind.RUNNING),  # taken again
        ([attempt(1, {"value": 1.0}), attempt(2)], Kind.COMPLETED),  # its worker was thought dead
        ([attempt(1, FAILED), attempt(2, {"value": 1.0})], Kind.COMPLETED),
    ],
)
def test_how_far_a_trial_is(attempts, kind):
    (told,) = tell([TrialRecord(0, {a.attempt: a for a in attempts})], ["val_loss"])
    assert (told.kind, told.values) == (kind, (1.0,) if kind is Kind.COMPLETED else ())


def test_a_trial_that_was_only_claimed_is_not_told():
    assert tell([TrialRecord(0, {}, {1: "w"})], ["val_loss"]) == []


def test_reports_of_all_attempts_count():
    record = TrialRecord(
        0, {1: attempt(1, None, (1, 9.0), (2, 8.0), (3, 7.0)), 2: attempt(2, None, (3, 7.5), (4, 6.0))}
    )
    assert tell([record], ["val_loss"])[0].reports == {1: 9.0, 2: 8.0, 3: 7.5, 4: 6.0}


@pytest.mark.parametrize("sign", [1, -1])
def test_diverged_trainings_have_failed(sign):
    told = without_diverged(completed(*(sign * v for v in (105.0, 110.0, 230.0, 1e11, 3e16, 120.0))), [sign])
    assert [one.kind for one in told].count(Kind.FAILED) == 2
    assert worst(told, [sign]) == (sign * 230.0,)


def test_converging_to_nothing_is_not_diverging():
    values = [200.0, 30.0, 5.0, 0.1, 1e-3, 1e-5, 1e-7, 1e-9, 1e-12, 0.0]
    assert all(one.kind is Kind.COMPLETED for one in without_diverged(completed(*values), [1]))


@pytest.mark.parametrize("sign", [1, -1])
def test_values_that_span_orders_of_magnitude_are_softened(sign):
    values = [sign * v for v in (1.0, 2.0, 3.0, 50.0, 1e6)]
    soft = [one.values[0] for one in softened(completed(*values), [sign], completed(*values))]
    assert soft[:3] == values[:3]
    assert sorted(soft, key=lambda v: sign * v) == soft
    assert abs(soft[4]) < 100


@pytest.mark.parametrize("sign", [1, -1])
def test_whether_values_span_orders_of_magnitude_is_told_by_those_that_lie_everywhere(sign):
    design, found = [-0.9, -0.3, -0.1, 0.0], [-1.7, -1.709, -1.71, -1.7101, -1.7102]
    told = completed(*(sign * v for v in design + found))
    assert softened(told, [sign], told[:4]) == told
    assert softened(told, [sign], told) != told


def test_what_has_no_values_is_not_softened():
    running = [Told(7, Kind.RUNNING, {})]
    assert softened(running, [1], running) == running
    flat = completed(2.0, 2.0, 2.0, 9.0)
    assert softened(flat, [1], flat) == flat


def test_whole_numbers_are_told_as_the_doubles_that_they_are_nearest_to():
    record = TrialRecord(0, {1: attempt(1, {"value": 1.0, "metrics": {"size": 2**63 + 1}})})
    (told,) = tell([record], ["val_loss", "size"])
    assert [(type(value), value) for value in told.values] == [(float, 1.0), (float, 2.0**63)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, True, "1", None])
def test_a_value_that_no_double_can_hold_is_a_failure(value):
    record = TrialRecord(0, {1: attempt(1, {"value": 1.0, "metrics": {"size": value}})})
    assert tell([record], ["val_loss", "size"])[0].kind is Kind.FAILED
