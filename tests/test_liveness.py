"""Who is alive: death needs evidence, and no clock of another host is read."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import wait_for

from hpo import liveness, processes
from hpo.liveness import HEARTBEAT_LIMIT, STOPPED_LIMIT, Heartbeat, Identity, Liveness, Vitality

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


#: What another machine's worker says of itself.
ELSEWHERE = {"boot_id": "another", "machine_id": "another"}


class Clock:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sleeper():
    """A process that does nothing, as the worker under judgement."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def identity_of(pid: int, **changes: str) -> Identity:
    mine = Identity.of_this_process("local")
    return dataclasses.replace(mine, pid=pid, start_time=processes.start_time(pid) or "gone", **changes)


def judge(folder: Path, identity: Identity, clock: Clock, *, kill: bool = True) -> Liveness:
    liveness.write(folder, identity)
    return Liveness(folder, kill=kill, clock=clock)


def test_an_id_is_never_used_again():
    assert len({Identity.of_this_process("local").id for _ in range(100)}) == 100


def test_the_record_is_whole_or_not_there(tmp_path):
    identity = Identity.of_this_process("local")
    liveness.write(tmp_path, identity)
    assert liveness.read(tmp_path, identity.id) == identity
    (tmp_path / "torn").write_text('{"id": "torn", "ho')
    assert liveness.read(tmp_path, "torn") is None


@pytest.mark.parametrize("owner", ["", "nobody-1-abc"])
def test_an_owner_without_a_record_counts_as_alive(tmp_path, owner):
    assert Liveness(tmp_path, kill=True).of(owner) is Vitality.ALIVE


@linux
class TestOnThisHost:
    def test_a_running_process_is_alive(self, tmp_path, clock, sleeper):
        identity = identity_of(sleeper.pid)
        assert judge(tmp_path, identity, clock).of(identity.id) is Vitality.ALIVE

    def test_a_gone_process_is_dead(self, tmp_path, clock, sleeper):
        identity = identity_of(sleeper.pid)
        sleeper.kill()
        sleeper.wait(timeout=60)
        assert judge(tmp_path, identity, clock).of(identity.id) is Vitality.DEAD

    def test_a_zombie_is_dead(self, tmp_path, clock, sleeper):
        identity = identity_of(sleeper.pid)
        sleeper.kill()
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        assert judge(tmp_path, identity, clock).of(identity.id) is Vitality.DEAD

    def test_another_process_under_the_same_pid_is_not_it(self, tmp_path, clock, sleeper):
        identity = dataclasses.replace(identity_of(sleeper.pid), start_time="1")
        assert judge(tmp_path, identity, clock).of(identity.id) is Vitality.DEAD

    def test_a_stopped_one_is_killed_after_a_while_and_then_dead(self, tmp_path, clock, sleeper):
        identity = identity_of(sleeper.pid)
        reader = judge(tmp_path, identity, clock)
        sleeper.send_signal(signal.SIGSTOP)
        wait_for(lambda: processes.is_stopped(sleeper.pid))
        assert reader.of(identity.id) is Vitality.UNKNOWN
        clock.now = STOPPED_LIMIT - 1
        assert reader.of(identity.id) is Vitality.UNKNOWN
        clock.now = STOPPED_LIMIT + 1
        reader.of(identity.id)
        assert sleeper.wait(timeout=60) == -signal.SIGKILL
        assert reader.of(identity.id) is Vitality.DEAD

    def test_one_that_went_on_is_alive(self, tmp_path, clock, sleeper):
        identity = identity_of(sleeper.pid)
        reader = judge(tmp_path, identity, clock)
        sleeper.send_signal(signal.SIGSTOP)
        wait_for(lambda: processes.is_stopped(sleeper.pid))
        reader.of(identity.id)
        sleeper.send_signal(signal.SIGCONT)
        wait_for(lambda: not processes.is_stopped(sleeper.pid))
        clock.now = STOPPED_LIMIT + 1
        assert reader.of(identity.id) is Vitality.ALIVE

    def test_a_mere_look_kills_nothing(self, tmp_path, clock, sleeper):
        identity = identity_of(sleeper.pid)
        reader = judge(tmp_path, identity, clock, kill=False)
        sleeper.send_signal(signal.SIGSTOP)
        wait_for(lambda: processes.is_stopped(sleeper.pid))
        reader.of(identity.id)
        clock.now = STOPPED_LIMIT + 1
        assert reader.of(identity.id) is Vitality.ALIVE
        assert sleeper.poll() is None


class TestElsewhere:
    @pytest.mark.parametrize("elsewhere", [ELSEWHERE, {"pid_namespace": "pid:[1]"}])
    def test_it_is_unknown_until_its_heartbeat_stood_still_for_long(self, tmp_path, clock, elsewhere):
        identity = identity_of(1, **elsewhere)
        reader = judge(tmp_path, identity, clock)
        (tmp_path / f"{identity.id}.beat").write_text("5")
        assert reader.of(identity.id) is Vitality.UNKNOWN
        clock.now = HEARTBEAT_LIMIT - 1
        assert reader.of(identity.id) is Vitality.UNKNOWN
        clock.now = HEARTBEAT_LIMIT + 1
        assert reader.of(identity.id) is Vitality.DEAD

    def test_a_heartbeat_that_moved_is_life_whatever_it_says(self, tmp_path, clock):
        identity = identity_of(1, **ELSEWHERE)
        reader = judge(tmp_path, identity, clock)
        beat = tmp_path / f"{identity.id}.beat"
        beat.write_text("5")
        reader.of(identity.id)
        clock.now = HEARTBEAT_LIMIT + 1
        beat.write_text("4")  # a clock would call this the past
        assert reader.of(identity.id) is Vitality.ALIVE

    def test_one_that_was_seen_to_move_stays_alive_between_its_beats(self, tmp_path, clock):
        identity = identity_of(1, **ELSEWHERE)
        reader = judge(tmp_path, identity, clock)
        beat = tmp_path / f"{identity.id}.beat"
        for text in ("1", "2"):
            beat.write_text(text)
            reader.of(identity.id)
        clock.now = HEARTBEAT_LIMIT - 1
        assert reader.of(identity.id) is Vitality.ALIVE
        clock.now = HEARTBEAT_LIMIT + 1
        assert reader.of(identity.id) is Vitality.DEAD

    @pytest.mark.parametrize(("old", "alive"), [(0, True), (HEARTBEAT_LIMIT - 20, True), (3 * 86400, False)])
    @pytest.mark.parametrize("file", ["", ".beat"])  # one that was lost before its first heartbeat left a record only
    def test_who_looks_once_goes_by_the_file_servers_times_but_takes_nothing_over(
        self, tmp_path, clock, old, alive, file
    ):
        identity = identity_of(1, **ELSEWHERE)
        reader = judge(tmp_path, identity, clock)
        seen = tmp_path / f"{identity.id}{file}"
        if file:
            seen.write_text("5")
        when = seen.stat().st_mtime - old
        os.utime(seen, (when, when))
        assert reader.seems_alive(identity.id) is alive
        assert reader.of(identity.id) is Vitality.UNKNOWN

    @pytest.mark.skipif(not processes.machine_id(), reason="optional: the machine has no id")
    def test_a_worker_of_this_machine_before_it_was_started_again_is_dead_at_once(self, tmp_path, clock):
        identity = identity_of(1, boot_id="another")
        assert judge(tmp_path, identity, clock).of(identity.id) is Vitality.DEAD

    def test_the_heartbeat_beats(self, tmp_path):
        heartbeat = Heartbeat(tmp_path, "a")
        wait_for((tmp_path / "a.beat").exists)
        heartbeat.close()


@linux
def test_what_a_dead_worker_left_running_is_killed(tmp_path, clock):
    mine = Identity.of_this_process("local")
    left = subprocess.Popen(["sleep", "600"], env={**os.environ, "HPO_WORKER": mine.id}, start_new_session=True)
    dead = dataclasses.replace(mine, pid=left.pid, start_time="1")
    reader = judge(tmp_path, dead, clock)
    assert reader.of(dead.id) is Vitality.DEAD
    reader.bury(dead.id)
    assert left.wait(timeout=60) == -signal.SIGKILL
