"""The plan of a search: who proposes, how many trials, what is optimised, who prunes. Made from the input file."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpo import pruners, samplers
from hpo.errors import Complaints, UserError
from hpo.inputfile import InputFile
from hpo.samplers import Task, choice
from hpo.search import warm_start
from hpo.search.warm_start import WarmStart
from hpo.space import ParameterSpace, Space, SpaceError

#: The keywords of CANDLE that say how many trials there are.
_CANDLE_BUDGET = ("propose_points", "max_iterations", "max_budget")
_EPOCHS = ("epochs", "nb_epochs", "num_epochs", "n_epochs")


@dataclass(frozen=True, slots=True)
class Search:
    """What experiment.json keeps of the plan.

    n_trials: None when only max_hours ends the search. sampler: its name, its options and the version of the library
    that it is made with. pruner: its name and options, or None. max_hours: of all workers and restarts together.
    warm_start: what is known beforehand. notes: why it is so, for `hpo check`; not kept.
    """

    n_trials: int | None
    sampler: Mapping[str, Any]
    objectives: tuple[str, ...] = ("val_loss",)
    directions: tuple[str, ...] = ("minimize",)
    pruner: Mapping[str, Any] | None = None
    max_hours: float | None = None
    warm_start: WarmStart | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON types, without the notes and the trials of `warm_start`."""
        tree = {name: getattr(self, name) for name in ("n_trials", "sampler", "pruner", "max_hours")}
        warm = self.warm_start
        return {
            **tree,
            "objectives": list(self.objectives),
            "directions": list(self.directions),
            "warm_start": warm and {"source": warm.source, "trials": len(warm.trials), "of": warm.of},
        }


def plan(given: InputFile, file: Path, complaints: Complaints) -> Search | None:
    """Make the plan for an input file, called `file` in complaints; None after a complaint."""
    return _Planner(given, file, complaints).plan()


class _Planner:
    """Reads the keywords of a search together; each mistake goes to the line of its keyword."""

    def __init__(self, given: InputFile, file: Path, complaints: Complaints) -> None:
        self._given = given
        self._file = file
        self._control = given.control
        self._complaints = complaints
        self._failed = False
        self._notes: list[str] = []
        self._warm: WarmStart | None = None

    def plan(self) -> Search | None:
        directions = self._directions()
        pruner = self._pruner()
        n_trials = self._n_trials()
        self._warm = self._warm_start(directions)
        sampler = self._sampler(directions, pruner is not None, n_trials)
        if self._failed or sampler is None:
            return None
        self._compare_with_size(n_trials)
        self._compare_with_budget(n_trials, sampler)
        return Search(
            n_trials=n_trials,
            sampler=sampler,
            objectives=tuple(self._control["objective"]),
            directions=directions,
            pruner=pruner,
            max_hours=self._control["max_hours"],
            warm_start=self._warm,
            notes=tuple(self._notes),
        )

    # --- how many trials ----------------------------------------------------------------------------------------------

    def _n_trials(self) -> int | None:
        control, space = self._control, self._given.space
        match control["workflow"]:
            case "grid":
                limits = [_grid_size(space)]
            case "bayesian":
                limits = [self._candle_budget()]
            case _:
                limits = [self._if_given("max_budget")]
        samples = space.samples if isinstance(space, ParameterSpace) else None
        known = [limit for limit in (*limits, control["n_trials"], samples) if limit is not None]
        if not known and control["max_hours"] is None:
            message = f"workflow = {control['workflow']} needs its number of trials, such as n_trials = 50"
            self._error("workflow", message)
        return min(known, default=None)

    def _candle_budget(self) -> int | None:
        """CANDLE's own limit; its defaults do not hold where the number of trials is said in another way."""
        control, space = self._control, self._given.space
        said = control["n_trials"] is not None or (isinstance(space, ParameterSpace) and space.samples is not None)
        if said and not any(name in self._given.given for name in _CANDLE_BUDGET):
            return None
        iterated = control["design_size"] + control["propose_points"] * control["max_iterations"]
        return int(min(control["max_budget"], iterated))

    def _compare_with_size(self, n_trials: int | None) -> None:
        """Warn when a search has more trials than there are points; the number of trials stays what was asked for."""
        size = _grid_size(self._given.space)
        if self._control["workflow"] == "grid" or size is None or (n_trials or 0) <= size:
            return
        message = f"{n_trials} trials are more than the {size} points of the space, so that points are tried again"
        keyword = "n_trials" if "n_trials" in self._given.given else "workflow"
        self._warn(keyword, f"{message}; workflow = grid tries each once, or give n_trials = {size}")

    def _compare_with_budget(self, n_trials: int | None, sampler: Mapping[str, Any]) -> None:
        """Say which of CANDLE's keywords limits a search, and warn of one that ends with its design."""
        control, given = self._control, self._given.given
        if control["workflow"] != "bayesian" or n_trials is None:
            return
        if n_trials == self._candle_budget() and n_trials != control["n_trials"]:
            limit = (
                "max_budget" if n_trials == control["max_budget"] else "design_size + propose_points × max_iterations"
            )
            sentence = f"{n_trials} trials, as {limit} says"
            if control["n_trials"] is not None:
                self._warn("n_trials", f"{sentence}, not n_trials = {control['n_trials']}: the least counts")
            elif not any(name in given for name in (*_CANDLE_BUDGET, "design_size")):
                self._notes.append(f"{sentence} where nothing is given; n_trials = N makes it another number")
        design = sampler["options"].get("design_size", 0)
        message = f"the design of design_size = {design} trials takes all {n_trials}, so that no model is ever asked"
        if design >= n_trials and "design_size" in given:
            self._warn("design_size", message)
        elif design >= n_trials:
            self._notes.append(message)

    def _if_given(self, name: str) -> Any:
        return self._control[name] if name in self._given.given else None

    # --- who proposes -------------------------------------------------------------------------------------------------

    def _sampler(self, directions: tuple[str, ...], pruned: bool, n_trials: int | None) -> dict[str, Any] | None:
        workflow, asked = self._control["workflow"], self._control["sampler"]
        if workflow != "bayesian" and asked not in ("auto", workflow):
            message = f"workflow = {workflow} says who proposes; sampler = {asked} is for workflow = bayesian"
            self._error("sampler", message)
            return None
        if workflow == "grid":
            return {"name": "grid", "options": {}}
        space = self._given.space
        assert isinstance(space, ParameterSpace)  # or the reader would have complained
        if not space.domains():
            self._error("workflow", f"there is nothing to search for {workflow}: each parameter has one value")
            return None
        task = Task(
            space,
            tuple(self._control["objective"]),
            directions,
            pruned,
            n_trials,
            design_size=self._control["design_size"],
            warm=len(self._warm.trials) if self._warm else 0,
            known=len(self._warm.trials) if self._warm and "design_size" not in self._given.given else 0,
            switches=asked == "auto",
        )
        return self._suited(workflow if workflow != "bayesian" else asked, task)

    def _suited(self, asked: str, task: Task) -> dict[str, Any] | None:
        name = asked
        if asked == "auto":
            name, why = choice.automatic(task)
            self._notes.append(f"sampler = auto is {name} here: {why}")
        row = samplers.TABLE[name]
        keyword = "sampler" if "sampler" in self._given.given else "workflow"
        if (objection := row.objection(task)) is not None:
            self._error(keyword, f"sampler = {name} {objection}")
            return None
        if asked != "auto" and (reservation := row.reservation(task)) is not None:  # auto knows them
            self._warn(keyword, f"sampler = {name} {reservation}")
        if self._warm is not None and not row.learns:
            self._warn("warm_start", f"sampler = {name} learns nothing from warm_start; sampler = tpe does")
        if "design_size" in self._given.given and not row.designed:
            designed = " and ".join(other for other, its in samplers.TABLE.items() if its.designed)
            message = f"sampler = {name} does not begin with a design of design_size trials"
            self._warn("design_size", f"{message}; sampler = {designed} do")
        version = {row.library: importlib.metadata.version(row.library)} if row.library else {}
        return {"name": name, "options": row.options(task), **version}

    def _warm_start(self, directions: tuple[str, ...]) -> WarmStart | None:
        source, space = self._control["warm_start"], self._given.space
        if source is None or not isinstance(space, ParameterSpace):
            return None
        objectives = list(zip(self._control["objective"], directions, strict=False))
        try:
            warm = warm_start.read(source, self._given.path.parent, space, self._given.defaults, objectives)
        except UserError as error:
            self._error("warm_start", f"warm_start: {error}")
            return None
        if len(warm.trials) < warm.of or not warm.trials:
            self._warn("warm_start", warm.sentence)
        else:
            self._notes.append(warm.sentence)
        if warm.warning is not None:
            self._warn("warm_start", warm.warning)
        return warm

    # --- what is optimised, who prunes --------------------------------------------------------------------------------

    def _directions(self) -> tuple[str, ...]:
        objectives, directions = self._control["objective"], self._control["direction"]
        if len(set(objectives)) < len(objectives):
            self._error("objective", "objective names one value twice")
        if len(directions) not in (1, len(objectives)):
            message = f"direction has {len(directions)} words for {len(objectives)} objectives; give one or as many"
            self._error("direction", message)
        return tuple(directions) if len(directions) == len(objectives) else (directions[0],) * len(objectives)

    def _pruner(self) -> dict[str, Any] | None:
        name = self._control["pruner"]
        known = {} if name == "none" else pruners.TABLE[name].options
        asked = [keyword for keyword in self._given.given if keyword.startswith("pruner_")]
        for keyword in asked:
            if keyword.removeprefix("pruner_") not in known:
                takes = ", ".join(f"pruner_{option}" for option in known) or "none"
                self._error(keyword, f"{keyword} is no option of pruner = {name}; it has {takes}")
        if name == "none":
            return None
        if len(self._control["objective"]) > 1:
            self._error("pruner", f"pruner = {name} judges one objective, not {len(self._control['objective'])}")
        options = {option: self._pruner_option(option, value) for option, value in known.items()}
        if "max_steps" in options and options["max_steps"] is None:
            options["max_steps"] = self._epochs()
        if "max_steps" in options:
            self._check_steps(name, options)
        return {"name": name, "options": options}

    def _pruner_option(self, option: str, otherwise: Any) -> Any:
        value = self._control[f"pruner_{option}"]
        return otherwise if value is None else value

    def _epochs(self) -> int | None:
        """The most epochs that a trial may have, where the input file says so.

        The default counts in trials without a value of their own.
        """
        for name in _EPOCHS:
            default = self._given.defaults.get(name)
            values = [default if value is None else value for value in _largest(self._given.space, name)]
            whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0]
            if whole:
                return max(whole)
        return None

    def _check_steps(self, name: str, options: Mapping[str, Any]) -> None:
        if options["max_steps"] is None:
            self._error("pruner", f"pruner = {name} needs the steps of a whole trial: pruner_max_steps = N")
        elif options["max_steps"] < options["min_steps"]:
            self._error("pruner", f"pruner = {name}: pruner_max_steps is below pruner_min_steps")

    # --- complaints ---------------------------------------------------------------------------------------------------

    def _error(self, keyword: str, message: str) -> None:
        self._failed = True
        self._complaints.error(message, *self._given.where(keyword, self._file))

    def _warn(self, keyword: str, message: str) -> None:
        self._complaints.warn(message, *self._given.where(keyword, self._file))


def _grid_size(space: Space) -> int | None:
    try:
        return space.size()
    except SpaceError:  # the reader has said so
        return None


def _largest(space: Space, name: str) -> list[Any]:
    """The values among which is the largest of a parameter, where it has an end of them; None: a trial without it."""
    if not isinstance(space, ParameterSpace):
        return [space.point(number).get(name) for number in range(space.size())] if name in space.names else [None]
    parameter = next((p for p in space.parameters if p.name == name), None)
    if parameter is None:
        return [None]
    count = parameter.count or 0
    places = [*range(min(count, 1000)), count - 1] if count else []
    return [*map(parameter.value, places), *([None] if parameter.condition is not None else [])]
