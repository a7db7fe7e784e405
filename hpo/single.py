"""One run of the script, here and now, with the defaults: no experiment, no worker, output on the terminal."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from hpo import runners
from hpo.experiment import reserved
from hpo.inputfile import InputFile
from hpo.script import Script
from hpo.trial import Attempt, Interrupt
from hpo.worker import write_result

_ID = "run"
_SEED = 0


class _Watch:
    """Ends the run on a signal; reports go nowhere."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.signal = number

    def poll(self) -> Interrupt | None:
        return Interrupt.PAUSE if self.signal is not None else None

    def report(self, step: int, value: float) -> None:
        del step, value


def run(inputfile: InputFile, script: Script, params: Mapping[str, Any] | None = None) -> int:
    """Run the defaults (overlaid by `params`) in the working directory; 0, 1 when it failed, 130 or 143 by a signal.

    The dictionary is printed first, the value last. Leaves `subprocess_out_and_err.txt`, `result.txt` and
    `candle_value_to_return.json`, and replaces those of an earlier single run.
    """
    folder = Path.cwd()
    for name in ("result.txt", "candle_value_to_return.json"):
        (folder / name).unlink(missing_ok=True)
    keywords = inputfile.control
    seed = keywords["seed"] if keywords["seed"] is not None else _SEED
    whole = {"output_dir": str(folder), **reserved(_ID, _ID, seed, keywords), **inputfile.defaults, **(params or {})}
    print(json.dumps(whole, indent=1), flush=True)
    watch = _Watch()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, watch.handle)
    with tempfile.TemporaryDirectory(prefix="hpo-") as scratch:
        attempt = _attempt(inputfile, whole, folder, Path(scratch), seed)
        runner = runners.create(script, keywords)
        try:
            result = runner.run(attempt, watch)
        finally:
            runner.close()
    for note in result.notes:
        print(f"note: {note}", file=sys.stderr)
    if watch.signal is not None:
        return 130 if watch.signal == signal.SIGINT else 143
    if result.failure is not None:
        print(f"failed: {result.failure.sentence}", file=sys.stderr)
        return 1
    assert result.value is not None
    write_result(folder, result.value)
    print(repr(result.value))
    return 0


def _attempt(inputfile: InputFile, whole: Mapping[str, Any], folder: Path, scratch: Path, seed: int) -> Attempt:
    keywords = inputfile.control
    environment = {
        "HPO_EXPERIMENT": _ID,
        "HPO_TRIAL": _ID,
        "HPO_SUBMIT_DIR": str(folder),
        "HPO_INPUT_DIR": str(inputfile.path.parent),
        "HPO_CHECKPOINT_DIR": str(folder / "checkpoints"),
    }
    timeout = keywords["trial_timeout"]
    return Attempt(
        number=0,
        attempt=1,
        id=_ID,
        params=whole,
        folder=folder,
        scratch=scratch,
        env=environment,
        rng_seed=seed,
        nthreads=int(keywords["nthreads"]),
        timeout=None if timeout is None else float(timeout),
        max_output=int(keywords["max_output"]),
        live=True,
    )
