"""A real cluster of four nodes (tests/cluster/start), and commands on PATH that stand before Slurm's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurm_support import CLUSTER, FAKES, Folder, end_jobs, is_up, run


@pytest.fixture(scope="session")
def cluster() -> None:
    """The test cluster, with all its nodes."""
    if os.getuid() != 0 or not is_up():
        pytest.skip("needs the test cluster: tests/cluster/start")
    run(str(CLUSTER / "start"), timeout=300)


@pytest.fixture
def folder(cluster: None, tmp_path: Path) -> Iterator[Folder]:
    """A folder of the test's own; its jobs end with it."""
    made = Folder(tmp_path / "user's own folder")  # a blank and a quote, as some have
    yield made
    end_jobs(made)


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put commands before Slurm's own: `fakes(squeue="refuse")`; the folder returned has a file `calls`."""
    room = tmp_path / "fakes"
    room.mkdir()

    def make(**behaviours: str) -> Path:
        for command, behaviour in behaviours.items():
            (room / command).unlink(missing_ok=True)
            (room / command).symlink_to(FAKES / "command")
            (room / f"{command}.does").write_text(behaviour)
        return room

    monkeypatch.setenv("PATH", f"{room}{os.pathsep}{os.environ['PATH']}")
    return make
