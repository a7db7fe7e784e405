"""The experiment's folder: every path, the frozen specification, X-numbers, and the requests to stop and go on.

The folder is the truth. It appears whole (`creation.py`): whoever sees X007 sees all of it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import hashlib
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo import space as spaces
from hpo.disk import linked, write_new
from hpo.errors import UsageError, writing
from hpo.hours import seconds_used
from hpo.journal import FolderJournal
from hpo.ledger import Ledger, done_key
from hpo.script import Script
from hpo.told import Told

FORMAT = 1
#: The number of trials of a search that only max_hours ends.
UNLIMITED = 1_000_000
_NAME = re.compile(r"X(\d{3,})")


@dataclass(frozen=True, slots=True)
class Stop:
    """A request in `control/`: workers take no further trial, and end the running ones too when `kill` is set.

    finished: the search came to its end by it.
    """

    reason: str
    kill: bool
    finished: bool = False


class Experiment:
    """One experiment's folder, opened. Raises `UsageError` when it is not one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    # -- paths ---------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """`X007`: the folder's own name."""
        return self.folder.name

    @functools.cached_property
    def specification_file(self) -> Path:
        return self.folder / "experiment.json"

    @functools.cached_property
    def rows_file(self) -> Path:
        """The rows of an explicit space, one JSON object a line; absent for other spaces."""
        return self.folder / "rows.jsonl"

    @functools.cached_property
    def warm_file(self) -> Path:
        """The trials of earlier experiments that inform the search, a JSON object a line; absent without any."""
        return self.folder / "warm_start.jsonl"

    @functools.cached_property
    def code(self) -> Path:
        return self.folder / "code"

    @functools.cached_property
    def workers(self) -> Path:
        return self.folder / "workers"

    @functools.cached_property
    def claims(self) -> Path:
        return self.folder / "claims"

    @functools.cached_property
    def journals(self) -> Path:
        return self.folder / "journal"

    @functools.cached_property
    def control(self) -> Path:
        return self.folder / "control"

    @functools.cached_property
    def scheduler(self) -> Path:
        """What the scheduler said of the experiment's jobs, shared by all who look."""
        return self.folder / "scheduler"

    @functools.cached_property
    def logs(self) -> Path:
        return self.folder / "logs"

    @functools.cached_property
    def runs(self) -> Path:
        return self.folder / "run"

    @functools.cached_property
    def attempts(self) -> Path:
        return self.runs / ".attempts"

    def run_folder(self, trial_id: str) -> Path:
        """`run/<id>`: a link to the folder of the attempt that counts, or runs."""
        return self.runs / trial_id

    def attempt_folder(self, trial_id: str, attempt: int) -> Path:
        """The folder of one attempt; never shared with another, since a lost process may still write to its own."""
        return self.attempts / f"{trial_id}.{attempt}"

    def scratch(self, worker: str) -> Path:
        """Private files of a worker, between it and the scripts it runs."""
        return self.folder / "scratch" / worker

    # -- the frozen specification ----------------------------------------------------------------------------------

    @functools.cached_property
    def specification(self) -> dict[str, Any]:
        """`experiment.json`."""
        try:
            record = json.loads(self.specification_file.read_bytes())
        except FileNotFoundError:
            raise UsageError(f"{self.folder} is not an experiment: it has no experiment.json") from None
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.specification_file} cannot be read: {error}") from None
        if record.get("format") != FORMAT:
            raise UsageError(f"{self.folder} was written by another version of hpo ({record.get('versions')})")
        return dict(record)

    @property
    def keywords(self) -> dict[str, Any]:
        """The resolved &control keywords."""
        return dict(self.specification["control"])

    @property
    def defaults(self) -> dict[str, Any]:
        """The &default_model values."""
        return dict(self.specification["defaults"])

    @property
    def budget(self) -> int:
        """The number of trials: that of the plan, unless a `resume` gave another one. `UNLIMITED` when hours end it."""
        given: int | None = self._limits().get("n_trials", self.specification["n_trials"])
        return UNLIMITED if given is None else given

    @property
    def max_hours(self) -> float | None:
        """How long all workers together may be there, in hours; None for ever."""
        hours: float | None = self._limits().get("max_hours", self.specification["max_hours"])
        return hours

    @property
    def seconds_left(self) -> float | None:
        """What is left of max_hours; None when they are not limited."""
        hours = self.max_hours
        return None if hours is None else hours * 3600 - seconds_used(self.workers, self.journals)

    @property
    def directions(self) -> list[str]:
        """For each objective `minimize` or `maximize`."""
        return list(self.specification["directions"])

    @property
    def objectives(self) -> list[str]:
        """The names of what is optimised; the first is a trial's value, the others are among its metrics."""
        return list(self.specification["objectives"])

    @property
    def signs(self) -> list[int]:
        """For each objective 1 when less is better, -1 when more is."""
        return [-1 if direction == "maximize" else 1 for direction in self.directions]

    @property
    def seed(self) -> int:
        """The experiment's seed, given or drawn at creation."""
        return int(self.specification["seed"])

    @functools.cached_property
    def space(self) -> spaces.Space:
        """The parameter space."""
        rows = self.rows_file.read_bytes() if self.rows_file.exists() else None
        return spaces.from_json(self.specification["space"], rows)

    @functools.cached_property
    def script(self) -> Script:
        """The model script, with its snapshot's files in `code/`."""
        return Script.from_json(self.specification["script"], self.code)

    def warm_trials(self) -> list[Told]:
        """The trials of earlier experiments that inform the search."""
        if not self.warm_file.exists():
            return []
        return [Told.from_json(json.loads(line)) for line in self.warm_file.read_bytes().splitlines()]

    def rng_seed(self, number: int) -> int:
        """The seed of trial `number`: 31 bits that depend on the experiment's seed and the number only."""
        digest = hashlib.blake2b(f"{self.seed}/{number}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") & 0x7FFFFFFF

    def parameters(self, number: int, params: Mapping[str, Any]) -> dict[str, Any]:
        """The whole dictionary that the script of trial `number` sees (without `output_dir`, which is the attempt's).

        The defaults overlaid by the trial's `params`, and the names that every trial gets; a user's own value for one
        of these wins.
        """
        trial_id = self.space.trial_id(number)
        return {**reserved(trial_id, self.name, self.rng_seed(number), self.keywords), **self.defaults, **params}

    # -- requests ----------------------------------------------------------------------------------------------------

    def stop(self) -> Stop | None:
        """The request to stop that is in force: the newest one, unless a `resume` came after it."""
        newest = max(self._requests(), default=None)
        if newest is None or newest[1] != "stop":
            return None
        try:
            record = json.loads((self.control / f"stop.{newest[0]}").read_bytes())
        except (OSError, ValueError):
            return Stop("stopped", kill=True)
        return Stop(record["reason"], record["kill"], record.get("finished", False))

    def request_stop(self, reason: str, *, kill: bool, finished: bool = False) -> None:
        """Ask all workers to stop, on whatever host they are; `finished` when that is how the search was to end."""
        self._request("stop", {"reason": reason, "kill": kill, "finished": finished})

    def request_limits(self, limits: Mapping[str, Any]) -> None:
        """Let other values of `n_trials` and `max_hours` hold from now on."""
        self._request("limits", {"limits": {**self._limits(), **limits}})

    def _limits(self) -> dict[str, Any]:
        """What the newest request for other limits says."""
        numbers = [int(name.removeprefix("limits.")) for name in os.listdir(self.control) if name.startswith("limits.")]
        if not numbers:
            return {}
        return dict(json.loads((self.control / f"limits.{max(numbers)}").read_bytes())["limits"])

    def request_resume(self) -> None:
        """Take back every request to stop so far."""
        if self.stop() is not None:
            self._request("resume", {})

    def request_retry(self, failed: Iterable[tuple[int, int]]) -> None:
        """Set aside the commits of failed attempts, (number, attempt), so that the trials run again."""
        self._request("retry", {"attempts": [list(pair) for pair in failed]})

    def _requests(self) -> list[tuple[int, str]]:
        names = (name.partition(".") for name in os.listdir(self.control))
        return [(int(n), what) for what, _, n in names if n.isdigit() and what in ("stop", "resume")]

    def _request(self, what: str, record: Mapping[str, Any]) -> None:
        """Write a request under the next number of all; two at once get two numbers."""
        numbers = [int(n) for name in os.listdir(self.control) if (n := name.rpartition(".")[2]).isdigit()]
        number = max(numbers, default=0) + 1
        beside = self.control / f".{secrets.token_hex(6)}"
        try:
            with writing(self.control):
                write_new(beside, json.dumps({**record, "host": socket.gethostname(), "time": time.time()}).encode())
                while not linked(beside, self.control / f"{what}.{number}"):
                    number += 1
        finally:
            beside.unlink(missing_ok=True)

    # -- the state ---------------------------------------------------------------------------------------------------

    def journal(self, worker: str = "") -> FolderJournal:
        """The journal as `worker` writes it, or as a reader sees it."""
        return FolderJournal(self.claims, self.journals, worker)

    def retries(self) -> list[tuple[int, int]]:
        """The failed attempts that `resume --retry-failed` set aside: (number, attempt)."""
        found: list[tuple[int, int]] = []
        for name in os.listdir(self.control):
            if name.startswith("retry."):
                record = json.loads((self.control / name).read_bytes())
                found.extend((number, attempt) for number, attempt in record["attempts"])
        return found

    def committed(self) -> set[int]:
        """The trials with a result that counts now, by the names of claims and requests: nothing else is read."""
        voided: dict[int, set[int]] = {}
        for number, attempt in self.retries():
            voided.setdefault(number, set()).add(attempt)
        keys = set(self.journal().claimed())
        done = {int(key.removesuffix(".done")) for key in keys if key.endswith(".done")}
        return {number for number in done if done_key(number, voided.get(number)) in keys}

    def ledger(self, only: Set[int] | None = None) -> Ledger:
        """What is known now of all trials, or of those in `only`, merged from journals and claims."""
        return self.refresh(Ledger(only), self.journal())

    def refresh(self, ledger: Ledger, journal: FolderJournal) -> Ledger:
        """Bring a ledger up to date through the reader that fed it so far.

        The claims are read first: what is committed then has its record in a journal that is read later.
        """
        for number, attempt in self.retries():
            ledger.add_voided(number, attempt)
        with _no_garbage():
            claims = journal.claims(ledger.only)
            ledger.add_events(journal.read_new())
            ledger.add_claims(claims)
        return ledger


def reserved(trial_id: str, experiment: str, seed: int, keywords: Mapping[str, Any]) -> dict[str, Any]:
    """What every script finds in its dictionary beside its own names, as CANDLE's `initialize_parameters` gives it."""
    timeout = keywords.get("trial_timeout")
    return {
        "id": trial_id,
        "experiment_id": experiment,
        "run_id": trial_id,
        "rng_seed": seed,
        "timeout": -1 if timeout is None else timeout,
        "train_bool": True,
        "data_type": "float32",
    }


# -- the folder of experiments -----------------------------------------------------------------------------------------


def home() -> Path:
    """Where experiments live: `./experiments`, or HPO_EXPERIMENTS."""
    return Path(os.environ.get("HPO_EXPERIMENTS") or "experiments")


def names() -> list[str]:
    """The experiments there are, oldest first."""
    return [name for name in _numbered() if (home() / name / "experiment.json").exists()]


def _numbered() -> list[str]:
    """Everything that has a number, oldest first, also what was not made by us or is damaged."""
    with contextlib.suppress(OSError):
        return sorted(filter(_NAME.fullmatch, os.listdir(home())), key=lambda name: int(name[1:]))
    return []


def next_name() -> str:
    """The number that the next experiment gets if nobody else makes one meanwhile."""
    return f"X{next_number():03d}"


def next_number() -> int:
    """The number of that name."""
    return max((int(name[1:]) for name in _numbered()), default=-1) + 1


def find(text: str | None) -> Experiment:
    """Return the experiment that EXP means: `X007`, a path, or nothing for the last one."""
    if text is None:
        known = names()
        if not known:
            raise UsageError(f"there is no experiment in {home()} yet: 'hpo submit-job FILE.in' makes one")
        return _opened(home() / known[-1])
    for folder in (home() / text.upper(), home() / text, Path(text)):
        with contextlib.suppress(OSError):  # a name that no file can have is none of ours either
            if (folder / "experiment.json").exists():
                return _opened(folder)
    if _NAME.fullmatch(text.upper()):
        known = names()
        hint = f"; the last one is {known[-1]}" if known else ""
        raise UsageError(f"there is no experiment {text.upper()} in {home()}{hint}")
    raise UsageError(f"{text} is neither an experiment's number, such as X007, nor its folder")


def _opened(folder: Path) -> Experiment:
    experiment = Experiment(folder)
    _ = experiment.specification
    return experiment


@contextlib.contextmanager
def _no_garbage() -> Iterator[None]:
    """Within, nothing is searched for garbage: the many records made here stay, and looking would double the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
