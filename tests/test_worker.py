"""The protocol of docs/architecture.md, sentence by sentence, against workers that are dead, alive, late or lost."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support import write_input

from hpo import inputfile, liveness
from hpo.creation import create
from hpo.errors import Complaints
from hpo.experiment import Experiment
from hpo.journal import FolderJournal
from hpo.liveness import Identity
from hpo.results.view import View
from hpo.script import analyse
from hpo.search.plan import plan
from hpo.trial import State
from hpo.worker.bounds import Ended
from hpo.worker.loop import Worker

#: Says in a file how often each point was run.
SCRIPT = """
def run(hyperparams):
    with open(hyperparams["log"], "a") as log:
        print(hyperparams["x"], file=log)
    return hyperparams["x"] * 1.0
"""
POINTS = 4


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    return make(tmp_path, SCRIPT)


def make(folder: Path, script: str, control: str = "") -> Experiment:
    """An experiment of four points whose trials run in the worker itself."""
    file = write_input(
        folder,
        script,
        f"x = {list(range(POINTS))}",
        control=f"  isolation = none\n{control}",
        defaults=f"  log = '{folder}/log'",
    )
    given = inputfile.read(file)
    analysis = analyse(given.script, Complaints())
    searched = plan(given, file, Complaints())
    assert searched is not None
    return create(given, analysis.script, analysis.files, searched)


def work(experiment: Experiment) -> Ended:
    """One worker of this process, to its end."""
    return Worker(Experiment(experiment.folder), "inline").run()


def ran(experiment: Experiment) -> list[int]:
    """The points that were run, in order."""
    log = experiment.folder.parent.parent / "log"
    return [int(line) for line in log.read_text().splitlines()] if log.exists() else []


@dataclasses.dataclass
class Ghost:
    """A worker that another process was, or seems to be."""

    id: str
    journal: FolderJournal

    def started(self, n: int, k: int = 1, **params: float) -> None:
        self.journal.append([{"e": "started", "n": n, "k": k, "t": 1.0, "params": params or {"x": n}}])

    def finished(self, n: int, k: int = 1, value: float = 7.0) -> None:
        self.journal.append([{"e": "finished", "n": n, "k": k, "t": 2.0, "value": value}])

    def paused(self, n: int, k: int = 1) -> None:
        self.journal.append([{"e": "paused", "n": n, "k": k, "t": 2.0}])

    def commit(self, n: int, k: int = 1) -> str:
        return self.journal.claim(f"{n}.done", f".{k}")


@pytest.fixture
def ghost(experiment: Experiment) -> Callable[..., Ghost]:
    def make_ghost(alive: bool) -> Ghost:
        mine = Identity.of_this_process("local")
        identity = mine if alive else dataclasses.replace(mine, start_time="1")
        liveness.write(experiment.workers, identity)
        return Ghost(identity.id, experiment.journal(identity.id))

    return make_ghost


class TestClaimFirstThenPropose:
    def test_every_point_once_in_order(self, experiment):
        assert work(experiment) is Ended.NOTHING_LEFT
        assert ran(experiment) == [0, 1, 2, 3]

    def test_a_trial_is_claimed_and_recorded_before_it_runs(self, tmp_path):
        script = (
            "import json\nfrom pathlib import Path\n\ndef run(hyperparams):\n"
            "    folder = Path(hyperparams['output_dir']).parents[2]\n"
            "    assert (folder / 'claims' / f\"{hyperparams['x']}.1\").is_symlink()\n"
            "    lines = [line for file in folder.glob('journal/*') for line in file.read_text().splitlines()]\n"
            "    started = [event for event in map(json.loads, lines) if event['e'] == 'started']\n"
            "    assert started[-1]['params'] == {'x': hyperparams['x']}\n"
            "    return 1.0\n"
        )
        experiment = make(tmp_path, script)
        work(experiment)
        assert View(experiment).counts[State.COMPLETED] == POINTS

    def test_the_worker_is_on_record_before_its_first_claim(self, experiment, monkeypatch):
        def claim(journal: FolderJournal, key: str, tag: str = "") -> str:
            assert liveness.read(experiment.workers, journal.worker) is not None
            return real(journal, key, tag)

        real = FolderJournal.claim
        monkeypatch.setattr(FolderJournal, "claim", claim)
        work(experiment)
        assert len(ran(experiment)) == POINTS

    def test_what_others_claimed_is_left_to_them(self, experiment, ghost):
        ghost(alive=True).journal.claim("1.1")
        work(experiment)
        assert ran(experiment) == [0, 2, 3]

    def test_a_claim_with_an_unreadable_owner_counts_as_somebody_alive(self, experiment):
        (experiment.claims / "1.1").write_text("")
        work(experiment)
        assert ran(experiment) == [0, 2, 3]

    def test_the_parameters_of_an_earlier_attempt_are_taken(self, experiment, ghost):
        dead = ghost(alive=False)
        dead.journal.claim("1.1")
        dead.started(1, x=100)
        work(experiment)
        assert ran(experiment) == [100, 0, 2, 3]

    def test_a_point_that_a_power_cut_left_unclaimed_is_found(self, experiment, ghost):
        dead = ghost(alive=False)
        for n in (0, 1, 3):
            dead.journal.claim(f"{n}.1")
            dead.started(n)
            dead.finished(n)
            dead.commit(n)
        work(experiment)
        assert ran(experiment) == [2]


class TestCommit:
    def test_the_first_commit_wins_and_the_late_result_is_recorded_not_counted(self, experiment, ghost):
        late = ghost(alive=False)
        late.journal.claim("0.1")
        late.started(0)
        work(experiment)  # takes over, runs, commits
        late.finished(0, value=99.0)
        assert late.commit(0) != f"{late.id}.1"
        view = View(experiment)
        assert view.row(0).value == 0.0
        assert view.ledger.trials[0].attempts[1].outcome()["value"] == 99.0

    def test_a_late_writer_that_commits_first_counts(self, experiment, ghost):
        first = ghost(alive=False)
        first.journal.claim("0.1")
        first.started(0)
        first.finished(0, value=99.0)
        first.commit(0)
        work(experiment)
        assert View(experiment).row(0).value == 99.0
        assert 0 not in ran(experiment)

    def test_a_complete_record_of_a_dead_owner_is_committed_not_run_again(self, experiment, ghost):
        dead = ghost(alive=False)
        dead.journal.claim("2.1")
        dead.started(2)
        dead.finished(2, value=99.0)
        work(experiment)
        assert ran(experiment) == [0, 1, 3]
        row = View(experiment).row(2)
        assert (row.state, row.value) == (State.COMPLETED, 99.0)

    def test_the_files_of_a_value_are_left_by_whoever_commits_it(self, experiment, ghost):
        dead = ghost(alive=False)
        dead.journal.claim("2.1")
        dead.started(2)
        experiment.attempt_folder("hpset_00003", 1).mkdir()
        dead.finished(2, value=99.0)
        work(experiment)
        assert (experiment.run_folder("hpset_00003") / "result.txt").read_text() == "99.0\n"

    def test_claims_that_a_power_cut_took_are_made_again_and_nothing_runs_twice(self, experiment):
        work(experiment)
        for claim in experiment.claims.iterdir():
            claim.unlink()
        assert work(experiment) is Ended.NOTHING_LEFT
        assert ran(experiment) == [0, 1, 2, 3]
        assert View(experiment).counts[State.COMPLETED] == POINTS

    def test_what_a_script_does_to_its_folder_ends_no_worker(self, tmp_path):
        script = "import os\n\ndef run(hyperparams):\n    os.mkdir('result.txt')\n    return 1.0\n"
        experiment = make(tmp_path, script)
        work(experiment)
        view = View(experiment)
        assert view.counts[State.COMPLETED] == POINTS
        assert "result.txt" in view.ledger.trials[0].attempts[1].notes[0]

    def test_the_folder_shown_is_that_of_the_attempt_that_counts(self, experiment, ghost):
        dead = ghost(alive=False)
        dead.journal.claim("0.1")
        dead.started(0)
        work(experiment)
        assert (experiment.runs / "hpset_00001").readlink() == Path(".attempts/hpset_00001.2")

    def test_a_result_whose_record_was_lost_is_read_from_its_folder(self, experiment):
        work(experiment)
        for file in experiment.journals.iterdir():
            file.write_bytes(b"")
        assert [row.value for row in map(View(experiment).row, range(POINTS))] == [0.0, 1.0, 2.0, 3.0]


class TestWhoMayTryAgain:
    def test_a_dead_owners_trial_is_taken_over(self, experiment, ghost):
        dead = ghost(alive=False)
        dead.journal.claim("3.1")
        work(experiment)
        assert sorted(ran(experiment)) == [0, 1, 2, 3]
        assert set(View(experiment).ledger.trials[3].owners) == {1, 2}

    def test_a_living_owners_trial_is_not(self, experiment, ghost):
        alive = ghost(alive=True)
        alive.journal.claim("3.1")
        alive.started(3)
        work(experiment)
        assert ran(experiment) == [0, 1, 2]
        assert View(experiment).counts[State.RUNNING] == 1

    def test_a_paused_trial_is_taken_whoever_paused_it(self, experiment, ghost):
        alive = ghost(alive=True)
        alive.journal.claim("3.1")
        alive.started(3)
        alive.paused(3)
        work(experiment)
        assert sorted(ran(experiment)) == [0, 1, 2, 3]

    def test_a_lost_claim_is_no_reason_to_try_the_next(self, experiment, ghost):
        dead, alive = ghost(alive=False), ghost(alive=True)
        dead.journal.claim("3.1")
        alive.journal.claim("3.2")
        work(experiment)
        assert ran(experiment) == [0, 1, 2]
        assert set(experiment.journal().claims(only={3})) == {"3.1", "3.2"}

    def test_deaths_count_against_max_attempts(self, experiment, ghost):
        for k in (1, 2, 3):
            dead = ghost(alive=False)
            dead.journal.claim(f"3.{k}")
            dead.started(3, k)
        work(experiment)
        assert ran(experiment) == [0, 1, 2]
        row = View(experiment).row(3)
        assert (row.state, row.reason) == (State.FAILED, "the worker was lost 3 times")

    def test_pauses_do_not(self, experiment, ghost):
        for k in (1, 2, 3, 4):
            dead = ghost(alive=False)
            dead.journal.claim(f"3.{k}")
            dead.started(3, k)
            dead.paused(3, k)
        work(experiment)
        assert sorted(ran(experiment)) == [0, 1, 2, 3]


class TestFolders:
    def test_an_attempt_after_a_death_begins_in_a_folder_of_its_own(self, experiment, ghost):
        dead = ghost(alive=False)
        dead.journal.claim("0.1")
        old = experiment.attempt_folder("hpset_00001", 1)
        old.mkdir()
        (old / "left").touch()
        work(experiment)
        assert not (experiment.run_folder("hpset_00001") / "left").exists()
        assert (old / "left").exists()

    def test_a_paused_attempt_with_a_checkpoint_goes_on_where_it_was(self, experiment, ghost):
        other = ghost(alive=False)
        other.journal.claim("0.1")
        other.started(0)
        other.paused(0)
        old = experiment.attempt_folder("hpset_00001", 1)
        (old / "checkpoints").mkdir(parents=True)
        (old / "checkpoints" / "1").touch()
        work(experiment)
        assert experiment.run_folder("hpset_00001").resolve() == old
        assert (old / "result.txt").exists()


def test_a_stop_request_is_obeyed_and_a_resume_takes_it_back(experiment):
    experiment.request_stop("enough", kill=True)
    assert work(experiment) is Ended.STOPPED
    assert ran(experiment) == []
    experiment.request_resume()
    assert work(experiment) is Ended.NOTHING_LEFT
    assert len(ran(experiment)) == POINTS


def test_requests_at_once_get_numbers_of_their_own(experiment):
    for _ in range(3):
        experiment.request_stop("enough", kill=False)
    assert sorted(os.listdir(experiment.control)) == ["stop.1", "stop.2", "stop.3"]


def test_nothing_but_the_folder_is_needed_to_know_the_state(experiment, tmp_path):
    work(experiment)
    moved = experiment.folder.rename(tmp_path / "elsewhere")
    assert View(Experiment(moved)).counts[State.COMPLETED] == POINTS


def test_the_seed_of_a_trial_depends_on_its_number_and_the_experiments_seed(tmp_path):
    seeds = []
    for control in ("  seed = 1", "  seed = 1", "  seed = 2"):
        experiment = make(tmp_path, SCRIPT, control)
        seeds.append([experiment.rng_seed(n) for n in range(POINTS)])
        (tmp_path / "log").unlink(missing_ok=True)
    assert seeds[0] == seeds[1] != seeds[2]
    assert len(set(seeds[0])) == POINTS


def test_what_is_frozen_is_everything_resolved(experiment):
    record = json.loads(experiment.specification_file.read_text())
    for key in (
        "control",
        "defaults",
        "space",
        "n_trials",
        "seed",
        "sampler",
        "script",
        "versions",
        "host",
        "git",
        "hashes",
    ):
        assert key in record
    assert (experiment.folder / "model.in").exists()
    assert (experiment.code / "model.py").read_text() == SCRIPT
