"""Who is alive: the record that names a worker, and the judgement over it.

A worker is *dead* only on evidence: on this host (equal boot id and pid namespace) its process is gone, a zombie, or
another one under the same number; elsewhere its heartbeat stood still for a long time by the reader's own clock. Clocks
of two hosts are never compared. A worker in a job of Slurm is dead, wherever it was, when Slurm says that its job is
over, unless another user than the folder's owner began it: squeue is not asked for his jobs. Everything else (an
unreadable record, a host that cannot be seen) counts as alive or as not yet known.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from hpo import processes
from hpo.disk import sync_folder, time_in
from hpo.slurm.board import Board
from hpo.slurm.place import Incarnation
from hpo.slurm.verdict import Verdicts

#: Seconds between two heartbeats, and how long one may stand still before its worker counts as dead.
HEARTBEAT_EVERY = 10.0
HEARTBEAT_LIMIT = 120.0
#: Seconds that a stopped worker (SIGSTOP) is left alone.
STOPPED_LIMIT = float(os.environ.get("HPO_STOPPED_LIMIT", "30"))


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a worker is; written and fsynced before its first claim, and never used again.

    start_time: of the process, in the kernel's own units, so that a recycled pid is told apart. cluster, job_task,
    restart, node: the job of Slurm in which it runs, how often that had been started before, and where; empty outside.
    """

    id: str
    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_time: str
    executor: str
    machine_id: str = ""
    cluster: str = ""
    job_task: str = ""
    restart: int = 0
    node: str = ""

    @staticmethod
    def of_this_process(executor: str) -> Identity:
        """The identity of a worker that begins now in this process."""
        host = _host()
        plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in host)
        pid = os.getpid()
        job = Incarnation.here()
        return Identity(
            id=f"{plain}-{pid}-{secrets.token_hex(4)}",
            host=host,
            machine_id=processes.machine_id(),
            boot_id=processes.boot_id(),
            pid_namespace=processes.pid_namespace(),
            pid=pid,
            start_time=processes.start_time(pid) or "",
            executor=executor,
            cluster=job.cluster if job else "",
            job_task=job.task if job else "",
            restart=job.restart if job else 0,
            node=job.node if job else "",
        )

    @property
    def job(self) -> Incarnation | None:
        """The job in which it runs; None outside one."""
        return Incarnation(self.cluster, self.job_task, self.restart, self.node) if self.job_task else None

    @property
    def is_task(self) -> bool:
        """Whether it is a task of the experiment's own jobs, and not a worker within somebody's allocation."""
        return bool(self.job_task) and self.executor == "slurm"

    def earlier_boot(self) -> bool:
        """Whether it ran on this machine (equal host name and machine id) before the machine was started again."""
        return (
            bool(self.machine_id)
            and (self.host, self.machine_id) == (_host(), processes.machine_id())
            and self.boot_id != processes.boot_id()
        )

    def same_host(self) -> bool:
        """Whether this process can judge that one by its pid."""
        return bool(self.boot_id) and (self.boot_id, self.pid_namespace) == (
            processes.boot_id(),
            processes.pid_namespace(),
        )


def _host() -> str:
    return socket.gethostname().split(".", 1)[0] or "host"


def write(folder: Path, identity: Identity) -> None:
    """Put the record into `folder` (`workers/`), on the disk before the call returns."""
    beside = folder / f".{identity.id}"
    with beside.open("w") as file:
        json.dump(asdict(identity), file)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(folder / identity.id)
    sync_folder(folder)


def read(folder: Path, worker: str) -> Identity | None:
    """Return a worker's record, or None when it is not (yet) readable."""
    try:
        return Identity(**json.loads((folder / worker).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def identities(folder: Path) -> dict[str, Identity]:
    """All workers that there ever were, by name, without those whose record is not (yet) readable."""
    found = {name: read(folder, name) for name in sorted(os.listdir(folder)) if "." not in name}
    return {name: identity for name, identity in found.items() if identity is not None}


def of_owner(folder: Path, worker: str) -> bool:
    """Whether a worker was begun by the user whose experiment it is; squeue is not asked for the jobs of others."""
    with contextlib.suppress(OSError):
        return (folder / worker).stat().st_uid == folder.parent.stat().st_uid
    return False


def ended_tasks(folder: Path, ended: Mapping[str, str]) -> dict[str, int]:
    """The tasks of Slurm's jobs whose last start is over by the word of all its workers, and the number of that start.

    ended: worker -> why. Who ended for want of time, or by a SIGTERM, may have its job queued again: it is not over.
    A later start, whose workers are not to be seen yet, is not meant.
    """
    starts: dict[str, dict[int, bool]] = {}
    for name, identity in identities(folder).items():
        if identity.job_task:
            said = ended.get(name) not in (None, "walltime", "terminated")
            start = starts.setdefault(identity.job_task, {})
            start[identity.restart] = start.get(identity.restart, True) and said
    return {task: max(start) for task, start in starts.items() if start[max(start)]}


def last_starts(folder: Path) -> dict[str, int]:
    """The tasks of Slurm's jobs in which a worker began, and the number of the last start of which one did."""
    starts: dict[str, int] = {}
    for identity in identities(folder).values():
        if identity.job_task:
            starts[identity.job_task] = max(identity.restart, starts.get(identity.job_task, 0))
    return starts


def leave_reason(folder: Path, job: Incarnation, reason: str) -> None:
    """Note why a job is over, for whoever asks it of its workers, which have ended."""
    for name, identity in identities(folder).items():
        if identity.job == job:
            with contextlib.suppress(OSError):
                (folder / f"{name}.dead").write_text(reason)


class Vitality(Enum):
    """What is known of a worker."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"  # ask again: a heartbeat or a stopped process is being watched


class Liveness:
    """One reader's judgement over the workers of an experiment; it remembers what it saw.

    folder: `workers/`, beside which squeue's answers are shared. clock: monotonic seconds. kill: whether a worker
    stopped for too long may be killed here (those who would take over its trials) or only looked at (`hpo status`).
    """

    def __init__(self, folder: Path, *, kill: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._kill = kill
        self._clock = clock
        self._identities: dict[str, Identity] = {}
        self._since: dict[str, tuple[str, float]] = {}
        self._moved: set[str] = set()  # whose heartbeats this reader has seen move
        self._asked_for: set[str] = set()  # who is known to be of the owner, for whose jobs squeue is asked
        self._verdicts = Verdicts(Board(folder.parent / "scheduler"), Incarnation.here())

    def meet(self, workers: Iterable[str]) -> None:
        """Get to know several workers at once, which costs less than one after the other."""
        found = {worker: read(self._folder, worker) for worker in workers if worker and worker not in self._identities}
        new = {worker: identity for worker, identity in found.items() if identity is not None}
        self._identities |= new
        self._verdicts.meet(worker for worker, identity in new.items() if identity.job is not None)

    def of(self, worker: str) -> Vitality:
        """Judge one worker; an empty or unknown name counts as alive."""
        identity = self._identities.get(worker) or (read(self._folder, worker) if worker else None)
        if identity is None:
            return Vitality.ALIVE
        self._identities[worker] = identity
        if (self._folder / f"{worker}.dead").exists():
            return Vitality.DEAD
        seen = self._here(identity) if identity.same_host() else None
        if seen is Vitality.DEAD:
            return seen
        by_job = self._by_job(identity)
        if by_job is Vitality.DEAD:
            return by_job
        if seen is not None:
            return seen
        if by_job is not None and identity.is_task:
            return by_job
        return self._elsewhere(identity)  # within an allocation the job outlives its workers

    def seems_alive(self, worker: str) -> bool:
        """Whether to call a worker alive, for display; nothing may be taken over for it.

        Who looks but once sees no heartbeat stand still: one that is old by the times of its file server is no life.
        """
        vitality = self.of(worker)
        identity = self._identities.get(worker)
        if vitality is not Vitality.UNKNOWN or identity is None or identity.is_task or identity.same_host():
            return vitality is not Vitality.DEAD
        return self._beat_age(worker) <= HEARTBEAT_LIMIT

    def _beat_age(self, worker: str) -> float:
        """Seconds since a worker's last heartbeat, or since it began; 0 when that cannot be seen."""
        for file in (self._folder / f"{worker}.beat", self._folder / worker):
            with contextlib.suppress(OSError):
                return time_in(self._folder) - file.stat().st_mtime
        return 0.0

    def stopped(self, worker: str) -> bool:
        """Whether a worker of this host is stopped (SIGSTOP) at this moment."""
        identity = self._identities.get(worker)
        return identity is not None and identity.same_host() and processes.is_stopped(identity.pid)

    def reason(self, worker: str) -> str:
        """Why a dead worker's job is over, as Slurm calls it ("NODE_FAIL"); empty when that is not known."""
        with contextlib.suppress(OSError):
            return (self._folder / f"{worker}.dead").read_text()
        identity = self._identities.get(worker)
        return self._verdicts.reason(identity.job) if identity is not None and identity.job is not None else ""

    def bury(self, worker: str) -> None:
        """Kill whatever a dead worker of this host left running, before anything of it runs again.

        It may run itself: a node's slurmd was lost, and the job was given to another node, or to this one again.
        """
        identity = self._identities.get(worker)
        if identity is not None and identity.same_host():
            if processes.is_running(identity.pid, identity.start_time):
                processes.kill([identity.pid])
            processes.kill_marked(worker)

    def _by_job(self, identity: Identity) -> Vitality | None:
        """What Slurm says of a worker's job; None for a worker outside of a job, or in one that is not asked for."""
        if identity.job is None:
            return None
        if not self._is_asked_for(identity.id):
            return Vitality.DEAD if self._verdicts.superseded(identity.job) else None
        lives = self._verdicts.lives(identity.id, identity.job)
        if lives is False:  # for ever: who looks next need not ask again
            reason = self._verdicts.reason(identity.job)
            if self._verdicts.reason_is_final(identity.job):
                with contextlib.suppress(OSError):
                    (self._folder / f"{identity.id}.dead").write_text(reason)
        return Vitality.UNKNOWN if lives is None else Vitality.ALIVE if lives else Vitality.DEAD

    def _is_asked_for(self, worker: str) -> bool:
        """`of_owner`, without a look at the disk for who is known."""
        if worker not in self._asked_for and of_owner(self._folder, worker):
            self._asked_for.add(worker)
        return worker in self._asked_for

    def _here(self, identity: Identity) -> Vitality | None:
        """What the process of a worker of this host tells; None for a stopped one that is Slurm's to judge."""
        if not processes.is_running(identity.pid, identity.start_time):
            return Vitality.DEAD
        if not processes.is_stopped(identity.pid):
            self._since.pop(identity.id, None)
            return Vitality.ALIVE
        if identity.is_task:
            return None  # Slurm itself stops it (suspended, preempted by SUSPEND), and lets it go on
        if self._stood_still(identity.id, "stopped") < STOPPED_LIMIT:
            return Vitality.UNKNOWN
        if not self._kill:
            return Vitality.ALIVE
        processes.kill_marked(identity.id)
        with contextlib.suppress(OSError):
            os.kill(identity.pid, signal.SIGKILL)
        return Vitality.UNKNOWN  # dead once the kernel says so

    def _elsewhere(self, identity: Identity) -> Vitality:
        if identity.earlier_boot():
            return Vitality.DEAD
        try:
            beat = (self._folder / f"{identity.id}.beat").read_text()
        except OSError:
            beat = ""
        if identity.id in self._since and self._since[identity.id][0] != beat:
            self._moved.add(identity.id)
        if self._stood_still(identity.id, beat) > HEARTBEAT_LIMIT:
            return Vitality.DEAD
        return Vitality.ALIVE if identity.id in self._moved else Vitality.UNKNOWN

    def _stood_still(self, worker: str, what: str) -> float:
        """Seconds for which this reader has seen the same thing of a worker."""
        now = self._clock()
        before = self._since.get(worker)
        if before is None or before[0] != what:
            self._since[worker] = (what, now)
            return 0.0
        return now - before[1]


class Heartbeat:
    """Counts up in `workers/<id>.beat` from a thread, for readers on other hosts."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._path = folder / f"{worker}.beat"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop beating."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        count = 0
        while True:
            count += 1
            with contextlib.suppress(OSError):  # a full disk is for the journal to report
                self._path.write_text(str(count))
            if self._stop.wait(HEARTBEAT_EVERY):
                return
