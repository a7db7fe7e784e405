"""Whether the kernel killed processes for want of memory: a SIGKILL alone does not say who sent it."""

from __future__ import annotations

import functools
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_VMSTAT = Path("/proc/vmstat")


def oom_kills() -> int:
    """How often that has happened so far, as far as can be seen: in our control group, else on the machine."""
    try:
        lines = _counter().read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


@functools.cache
def _counter() -> Path:
    """The file with a line ``oom_kill N``: of cgroup v2 or v1 where it has one, which tells our kills from others'."""
    for hierarchy, controllers, path in _memberships():
        group = path.strip().lstrip("/")
        if hierarchy == "0":
            candidate = _CGROUPS / group / "memory.events"
        elif "memory" in controllers.split(","):
            candidate = _CGROUPS / "memory" / group / "memory.oom_control"
        else:
            continue
        if _has_counter(candidate):
            return candidate
    return _VMSTAT


def _memberships() -> list[list[str]]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    return [line.split(":", 2) for line in lines]


def _has_counter(path: Path) -> bool:
    try:
        return "oom_kill " in path.read_text()
    except OSError:
        return False
