"""checkpoint: whatever is killed, and at whatever byte, a whole state is restored."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.training import checkpoint

torch = pytest.importorskip("torch")

STATE = {"epoch": 3, "weights": [0.5] * 50, "name": "τ"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint folder of this attempt, not yet there; the file of stop requests is tmp_path/stop."""
    for name in ("HPO_RESTORE_FROM", "HPO_STOP_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(tmp_path / "checkpoints"))
    return tmp_path / "checkpoints"


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()} if folder.exists() else set()


# What is saved comes back


def test_the_newest_state_is_restored(folder: Path) -> None:
    assert checkpoint.restore() is None
    assert checkpoint.restore({"epoch": 0}) == {"epoch": 0}
    for epoch in (1, 2, 10):
        path = checkpoint.save({"epoch": epoch}, step=epoch)
        assert path == folder / f"checkpoint_{epoch}.pt"
        assert checkpoint.restore() == {"epoch": epoch}


def test_the_last_few_are_kept(folder: Path) -> None:
    for epoch in range(1, 6):
        checkpoint.save({"epoch": epoch}, step=epoch, keep=3)
    assert names(folder) == {"checkpoint_3.pt", "checkpoint_4.pt", "checkpoint_5.pt"}


def test_as_few_are_kept_where_an_attempt_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of earlier attempts stay: they are not its own."""
    for epoch in range(1, 6):
        monkeypatch.setattr(checkpoint, "_own", None)
        monkeypatch.setattr(checkpoint, "_written", [])  # as in a new process
        checkpoint.restore()
        checkpoint.save({"epoch": epoch}, step=epoch)
    assert names(folder) == {"checkpoint_4.pt", "checkpoint_5.pt"}
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(folder.parent / "second"))
    monkeypatch.setenv("HPO_RESTORE_FROM", str(folder))
    assert checkpoint.restore() == {"epoch": 5}
    for epoch in (6, 7, 8):
        checkpoint.save({"epoch": epoch}, step=epoch)
    assert names(folder) == {"checkpoint_4.pt", "checkpoint_5.pt"}
    assert names(folder.parent / "second") == {"checkpoint_7.pt", "checkpoint_8.pt"}


def test_what_is_damaged_and_saved_again_is_one_file(folder: Path) -> None:
    for epoch in (1, 2):
        checkpoint.save({"epoch": epoch}, step=epoch)
    (folder / "checkpoint_2.pt").write_bytes(b"torn")
    assert checkpoint.restore() == {"epoch": 1}
    checkpoint.save({"epoch": 2}, step=2)
    assert checkpoint.restore() == {"epoch": 2}
    checkpoint.save({"epoch": 3}, step=3)
    assert names(folder) == {"checkpoint_2.pt", "checkpoint_3.pt"}


def test_trials_in_one_process_each_keep_their_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with isolation = none: the next trial has another folder, and its clock begins anew."""
    for name in ("first", "second"):
        monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(folder / name))
        for epoch in (1, 2, 3):
            checkpoint.save({"epoch": epoch}, step=epoch)
    assert names(folder / "first") == names(folder / "second") == {"checkpoint_2.pt", "checkpoint_3.pt"}
    monkeypatch.setattr(checkpoint, "_last_save", -math.inf)
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(folder / "third"))
    assert checkpoint.save({"epoch": 1}, step=1, every=3600) is None


def test_a_step_saved_twice_is_one_file(folder: Path) -> None:
    checkpoint.save("first", step=1)
    checkpoint.save("second", step=1)
    checkpoint.save("third", step=2)
    assert names(folder) == {"checkpoint_1.pt", "checkpoint_2.pt"}
    assert checkpoint.load(folder / "checkpoint_1.pt") == "second"


def test_models_and_optimizers_come_back_to_the_last_bit(folder: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, step=1)
    state = checkpoint.restore()
    assert all(torch.equal(state["model"][k], v) for k, v in model.state_dict().items())
    again = torch.optim.Adam(model.parameters())
    again.load_state_dict(state["optimizer"])
    assert torch.equal(again.state[model.weight]["exp_avg"], optimizer.state[model.weight]["exp_avg"])


def test_the_random_generators_continue_where_they_were(folder: Path) -> None:
    def draw() -> tuple[Any, ...]:
        return random.random(), np.random.rand(), torch.rand(()).item()

    checkpoint.save(None, step=1)
    expected = draw()
    checkpoint.restore()
    assert draw() == expected
    checkpoint.load(folder / "checkpoint_1.pt")
    assert draw() != expected, "load leaves the generators alone"


def test_torch_itself_can_read_the_file(folder: Path) -> None:
    path = checkpoint.save(STATE, step=1)
    assert path is not None
    assert torch.load(path, weights_only=False)["state"] == STATE


def test_without_torch_any_state_that_pickles_is_saved_and_torch_is_not_imported(folder: Path) -> None:
    code = (
        "import sys; from hpo.training import checkpoint\n"
        "checkpoint.save({'a': (1, {2})}, step=1); assert checkpoint.restore() == {'a': (1, {2})}\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert checkpoint.restore() == {"a": (1, {2})}


# When to save


def test_with_every_only_now_and_then(folder: Path) -> None:
    assert checkpoint.save(STATE, step=1, every=3600) is None
    assert checkpoint.save(STATE, step=2) is not None
    assert checkpoint.save(STATE, step=3, every=3600) is None
    assert names(folder) == {"checkpoint_2.pt"}


def test_a_pause_is_saved_whatever_the_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_STOP_FILE", str(folder.parent / "stop"))
    (folder.parent / "stop").write_text("pause")
    assert checkpoint.save(STATE, step=1, every=3600) is not None


def test_what_is_pruned_is_not_saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_STOP_FILE", str(folder.parent / "stop"))
    (folder.parent / "stop").write_text("prune")
    assert checkpoint.save(STATE, step=1) is None
    assert not folder.exists()


# Where from


def test_earlier_attempts_are_read_newest_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = [folder.parent / name for name in ("second", "first", "none")]
    for where in (earlier[1], earlier[0]):
        monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(where))
        checkpoint.save(where.name, step=1)
    monkeypatch.setenv("HPO_CHECKPOINT_DIR", str(folder))
    monkeypatch.setenv("HPO_RESTORE_FROM", os.pathsep.join(map(str, earlier)))
    assert checkpoint.restore() == "second"
    (earlier[0] / "checkpoint_1.pt").write_bytes(b"")
    assert checkpoint.restore() == "first"
    checkpoint.save("own", step=1)
    assert checkpoint.restore() == "own"


def test_by_hand_a_second_run_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HPO_CHECKPOINT_DIR", raising=False)
    monkeypatch.delenv("HPO_RESTORE_FROM", raising=False)
    monkeypatch.chdir(tmp_path)
    checkpoint.save(STATE, step=1)
    assert names(tmp_path / "checkpoints") == {"checkpoint_1.pt"}
    assert checkpoint.restore() is None
    monkeypatch.setenv("HPO_RESTORE_FROM", "checkpoints")
    assert checkpoint.restore() == STATE


def test_by_hand_the_newest_run_counts_not_the_longest(folder: Path) -> None:
    old, new = checkpoint.save("a long run", step=100), checkpoint.save("a new one", step=5)
    assert old and new
    os.utime(old, ns=(0, 0))
    assert checkpoint.restore() == "a new one"


# Damage


def pickled(state: Any) -> bytes:
    """The bytes of a checkpoint as a script without torch writes it, small enough to try every byte."""
    code = "import sys; from hpo.training import checkpoint; print(checkpoint.save(eval(sys.argv[1]), step=1))"
    path = subprocess.check_output([sys.executable, "-c", code, repr(state)], text=True).strip()
    return Path(path).read_bytes()


@pytest.mark.parametrize("write", [pickled, None], ids=["pickle", "torch"])
def test_a_file_cut_at_any_byte_is_passed_over(folder: Path, write: Callable[[Any], bytes] | None) -> None:
    path = folder / "checkpoint_2.pt"
    if write is None:
        checkpoint.save(STATE, step=1)
        whole = (folder / "checkpoint_1.pt").read_bytes()
    else:
        whole = write(STATE)
    checkpoint.save("the one before", step=1)
    for length in {*range(0, len(whole), max(1, len(whole) // 500)), *range(len(whole) - 40, len(whole))}:
        path.write_bytes(whole[:length])
        assert checkpoint.restore() == "the one before"
    path.write_bytes(whole)
    assert checkpoint.restore() == STATE


@given(data=st.data())
def test_no_damaged_byte_is_ever_unpickled(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("damaged") / "checkpoint_1.pt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HPO_CHECKPOINT_DIR", str(path.parent))
        checkpoint.save(STATE, step=1)
        whole = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] ^= data.draw(st.integers(1, 255))
        path.write_bytes(whole)
        with pytest.raises(ValueError, match=r"checkpoint_1\.pt is damaged, or no checkpoint"):
            checkpoint.load(path)


@pytest.mark.parametrize("library", ["pickle", "torch"])
def test_a_folder_that_cannot_be_written_is_an_error_and_what_was_saved_stays(folder: Path, library: str) -> None:
    checkpoint.save("before", step=1)
    limited = (
        f"import resource, {library}; from hpo.training import checkpoint\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"  # as on a full disk: the write fails
        "checkpoint.save(bytes(5000), step=2)"
    )
    done = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 27] File too large"
    assert names(folder) == {"checkpoint_1.pt"}
    assert checkpoint.restore() == "before"


# Death

KILLED_AT = """
import resource, signal, sys
from hpo.training import checkpoint
checkpoint.save("before", step=1)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)   # Python ignores it: the write that passes the limit kills
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
checkpoint.save(bytes(20_000), step=2)
"""


@pytest.mark.parametrize("byte", [0, 1, 500, 4096, 8192, 19_999, 20_500])
def test_killed_at_a_byte_the_state_before_is_there(folder: Path, byte: int) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_AT, str(byte)])
    assert done.returncode == -signal.SIGXFSZ
    assert checkpoint.restore() == "before"


SAVING = """
from hpo.training import checkpoint
state = checkpoint.restore({"step": 0})
while True:
    step = state["step"] + 1
    state = {"step": step, "data": [step] * 20_000}
    checkpoint.save(state, step=step)
    print(step, flush=True)
"""


def test_killed_at_random_moments_it_always_goes_on_from_what_was_said_to_be_saved(folder: Path) -> None:
    dice, last = random.Random(1), 0
    for _ in range(12):
        with subprocess.Popen([sys.executable, "-c", SAVING], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert int(process.stdout.readline()) >= last + 1
            time.sleep(dice.random() / 50)  # a random moment, in the middle of whatever it is doing
            process.kill()
            said = [int(line) for line in process.stdout.read().splitlines() if line]
        state = checkpoint.restore()
        assert state["step"] >= max(said, default=last + 1)
        assert state["data"] == [state["step"]] * 20_000
        last = state["step"]
