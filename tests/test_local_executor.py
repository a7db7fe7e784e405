"""Worker processes that end before they were to: what they say is told, and what can be shown is shown on."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from support import SQUARE, write_input

from hpo import inputfile
from hpo.creation import create
from hpo.errors import Complaints, StorageError
from hpo.executors.local import LocalExecutor
from hpo.experiment import Experiment
from hpo.results.progress import Tally
from hpo.script import analyse
from hpo.search.plan import plan
from hpo.worker.loop import Worker


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    file = write_input(tmp_path, SQUARE, "x = [1, 2]")
    given = inputfile.read(file)
    analysis = analyse(given.script, Complaints())
    searched = plan(given, file, Complaints())
    assert searched is not None
    return create(given, analysis.script, analysis.files, searched)


@pytest.mark.parametrize("detach", [False, True])
def test_the_words_of_a_worker_that_cannot_begin_are_told(experiment, detach):
    """Its own, and not those that other workers have left in workers.log."""
    (experiment.logs / "workers.log").write_text("words of an earlier worker\n")
    shutil.rmtree(experiment.folder / "scratch")
    executor = LocalExecutor(lambda experiment, name: Worker(experiment, name), detach=detach)
    executor.start(experiment, 1)
    with pytest.raises(StorageError) as told:
        while executor.alive():
            time.sleep(0.02)
    assert str(told.value) == f"cannot write to {experiment.folder}: No such file or directory"


def test_a_display_goes_on_when_the_folder_cannot_be_read(experiment):
    """A file server stumbles, or somebody removes the folder: that is for the workers to say."""
    tally = Tally(experiment)
    away = experiment.journals.rename(experiment.folder / "away")
    assert tally.new() == []
    away.rename(experiment.journals)
    Worker(Experiment(experiment.folder), "inline").run()
    assert {event["e"] for event in tally.new()} == {"started", "finished"}
