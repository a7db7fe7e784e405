"""A worker's side of a runner, with nothing behind it: attempts in temporary folders, a watch that only listens."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpo import processes, runners
from hpo.script import Script
from hpo.trial import Attempt, Interrupt, Result

SCRIPTS = Path(__file__).parent / "runners" / "scripts"


@dataclass
class Listener:
    """A `trial.Watch`: keeps the reports; `answer` is asked at each poll."""

    answer: Callable[[Listener], Interrupt | None] = lambda _: None
    reports: list[tuple[int, float]] = field(default_factory=list)

    def poll(self) -> Interrupt | None:
        return self.answer(self)

    def report(self, step: int, value: float) -> None:
        self.reports.append((step, value))


@dataclass
class Bench:
    """Runs scripts as a worker would, and keeps what they leave."""

    folder: Path
    worker: str = field(default_factory=lambda: f"test-{secrets.token_hex(6)}")
    #: For how long scripts/hostile.py has its processes sleep: no other bench has this number.
    seconds: float = field(default_factory=lambda: 987 + secrets.randbelow(10**9) / 10**9)
    watch: Listener = field(default_factory=Listener)
    attempt: Attempt | None = None
    _runners: dict[Any, Any] = field(default_factory=dict)
    _count: int = 0

    def runner(self, script: Script, **settings: Any) -> Any:
        """The runner for a script and keywords; the same one for the same."""
        key = (script.path, script.form, script.preload, str(settings))
        if key not in self._runners:
            self._runners[key] = runners.create(script, settings)
        return self._runners[key]

    def script(self, name: str | Path, form: str = "run", runner: str = "python", **more: Any) -> Script:
        """A file of `scripts/`, or any path; with the local modules beside it that it is said to import."""
        path = SCRIPTS / name
        local = [path, *(path.with_name(module) for module in more.pop("local", ()))]
        return Script(path, runner=runner, form=form, snapshot={file: file for file in local}, **more)

    def run(
        self, script: str | Path | Script, form: str = "run", params: dict[str, Any] | None = None, **more: Any
    ) -> Result:
        """Run once. `more`: fields of the attempt, else keywords of &control."""
        of_attempt = {name: more.pop(name) for name in list(more) if name in Attempt.__slots__}
        script = script if isinstance(script, Script) else self.script(script, form)
        self.attempt = self.new_attempt(params or {}, **of_attempt)
        return self.runner(script, **more).run(self.attempt, self.watch)

    def new_attempt(self, params: dict[str, Any], **more: Any) -> Attempt:
        number, self._count = self._count, self._count + 1
        folder, scratch = self.folder / f"run{number}", self.folder / "scratch"
        folder.mkdir()
        scratch.mkdir(exist_ok=True)
        fields: dict[str, Any] = {
            "number": number,
            "attempt": 1,
            "id": f"hpset_{number:05}",
            "params": params,
            "folder": folder,
            "scratch": scratch,
            "env": {"HPO_WORKER": self.worker, "HPO_TRIAL": f"hpset_{number:05}"},
            "rng_seed": 42,
        }
        return Attempt(**{**fields, **more})

    @property
    def output(self) -> str:
        """All that the last script printed."""
        assert self.attempt is not None
        return self.attempt.output.read_text()

    @property
    def output_so_far(self) -> str:
        """The same while the script runs; empty before it begins."""
        return self.output if self.attempt is not None and self.attempt.output.exists() else ""

    def close(self) -> None:
        for runner in self._runners.values():
            runner.close()

    def left(self) -> list[str]:
        """The commands of living processes that run for this worker."""
        return [Path(f"/proc/{pid}/cmdline").read_text() for pid in self.marked()]

    def marked(self) -> list[int]:
        return [pid for pid in processes.marked(self.worker) if processes.start_time(pid)]
