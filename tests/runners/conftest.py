from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner_support import Bench

from hpo import processes


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench; when the test is over nothing that it started is alive."""
    with watched(Bench(tmp_path)) as bench:
        yield bench


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One bench for the tests of a file that need no more than its (warm) runners."""
    with watched(Bench(tmp_path_factory.mktemp("bench"))) as bench:
        yield bench


@contextlib.contextmanager
def watched(bench: Bench) -> Iterator[Bench]:
    own = living_children()
    yield bench
    bench.close()
    assert bench.marked() == []
    assert living_children() <= own


def living_children() -> set[int]:
    return {pid for pid in processes.children(os.getpid()) if processes.start_time(pid)}
