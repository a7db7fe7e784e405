"""Processes of this machine: who they are, whether they live, and how to end all that a trial left behind.

Linux is looked at through `/proc`; elsewhere `ps` answers, and what only Linux has (a death signal from the parent,
adopting orphans) is left out.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")


@functools.cache
def boot_id() -> str:
    """A name for the current run of this machine's kernel; empty when it cannot be known."""
    if LINUX:
        return _read(_PROC / "sys/kernel/random/boot_id").strip()
    return _ask("sysctl", "-n", "kern.boottime")


@functools.cache
def machine_id() -> str:
    """A name for this installation, the same after it is started again; empty when there is none (systemd's manual)."""
    return _read(Path("/etc/machine-id")).strip()


@functools.cache
def pid_namespace() -> str:
    """A name for the set of pids that this process sees (containers of one host have different ones)."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def start_time(pid: int) -> str | None:
    """When process `pid` began, in a unit only fit for comparison; None when it is gone or a zombie."""
    if not LINUX:
        return _ask("ps", "-o", "lstart=", "-p", str(pid)) or None
    fields = _stat(pid)
    return None if fields is None or fields[0] in ("Z", "X") else fields[19]


def is_running(pid: int, started: str) -> bool:
    """Whether `pid` is still the process that began at `started` (`start_time`)."""
    return start_time(pid) == started


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped (SIGSTOP, or a debugger)."""
    if not LINUX:
        return _ask("ps", "-o", "state=", "-p", str(pid)).startswith("T")
    fields = _stat(pid)
    return fields is not None and fields[0] in ("T", "t")


def children(pid: int) -> list[int]:
    """The direct children of a process, zombies included."""
    files = list((_PROC / str(pid)).glob("task/*/children"))
    if files:  # not in every kernel; without a look at all processes
        return [int(child) for file in files for child in _read(file).split()]
    return [child for child, parent in _parents().items() if parent == pid]


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, children before grandchildren, zombies included."""
    below: dict[int, list[int]] = {}
    for child, parent in _parents().items():
        below.setdefault(parent, []).append(child)
    found = list(below.get(pid, ()))
    for process in found:  # grows while it is walked
        found.extend(below.get(process, ()))
    return found


def marked(worker: str) -> list[int]:
    """Processes of this user whose environment says that they run for `worker` (HPO_WORKER), this one excepted."""
    if not worker:
        return []
    needle = f"HPO_WORKER={worker}".encode()
    own = os.getpid()
    return [pid for pid in _pids() if pid != own and needle in _environment(pid)]


def kill_marked(worker: str, patience: float = 10.0) -> None:
    """Kill every process that runs for `worker`, also those that they start meanwhile."""
    end = time.monotonic() + patience
    while (pids := [pid for pid in marked(worker) if start_time(pid)]) and time.monotonic() < end:
        kill(pids)
        time.sleep(0.01)


def kill(pids: Iterable[int], number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to each; one that is gone already is fine."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exit at once when `parent` is dead already (Linux)."""
    if LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent dies, so that none escapes (Linux)."""
    if LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the command's name: state, ppid, ... start time is the 20th."""
    text = _read(_PROC / str(pid) / "stat")
    return text.rpartition(")")[2].split() or None


def _parents() -> dict[int, int]:
    if not LINUX:
        rows = (line.split() for line in _ask("ps", "-axo", "pid=,ppid=").splitlines())
        return {int(row[0]): int(row[1]) for row in rows if len(row) == 2}
    return {pid: int(fields[1]) for pid in _pids() if (fields := _stat(pid))}


def _pids() -> Iterator[int]:
    if LINUX:
        return (int(name) for name in os.listdir(_PROC) if name.isdigit())
    return (int(pid) for pid in _ask("ps", "-axo", "pid=").split())


def _environment(pid: int) -> list[bytes]:
    """The variables a process was started with; empty when it is not ours to see."""
    if not LINUX:
        return _ask("ps", "-Eww", "-o", "command=", "-p", str(pid)).encode().split()
    try:
        return (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _ask(*command: str) -> str:
    """What a command prints; empty when it fails."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
