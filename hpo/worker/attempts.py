"""What a script gets for one attempt: its folder with `params.json`, its environment, its limits."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo.disk import write_all
from hpo.experiment import Experiment, reserved
from hpo.inputfile import InputFile
from hpo.trial import Attempt

#: The script in an attempt's folder that runs the trial again by hand (a link to the experiment's one copy).
RERUN = "rerun.sh"
#: The names and the seed of a run of the defaults, which belongs to no experiment.
_ID = "run"
_SEED = 0


def prepare(experiment: Experiment, number: int, params: Mapping[str, Any], folder: Path, scratch: Path) -> Attempt:
    """Put `params.json` into an attempt's (existing) folder and return what a runner needs for a first attempt.

    params: the trial's hyperparameters. Raises `OSError`.
    """
    trial_id = experiment.space.trial_id(number)
    whole = {"output_dir": str(folder), **experiment.parameters(number, params)}
    put(f"{folder}/params.json", json.dumps(whole))
    specification = experiment.specification
    return Attempt(
        number=number,
        attempt=1,
        id=trial_id,
        params=whole,
        folder=folder,
        scratch=scratch,
        env={
            **_variables(experiment.name, trial_id, specification["submit_dir"], specification["input"]),
            "HPO_CHECKPOINT_DIR": str(folder / "checkpoints"),
            "HPO_RESTORE_FROM": "",
        },
        rng_seed=whole["rng_seed"] if isinstance(whole["rng_seed"], int) else experiment.rng_seed(number),
        **_limits(experiment.keywords),
    )


def continued(first: Attempt, worker: str, attempt: int, restore_from: Sequence[Path], *, resumed: bool) -> Attempt:
    """The attempt of that number, by a worker.

    restore_from: the checkpoint folders of earlier attempts, newest first. resumed: whether a paused attempt goes on in
    its folder.
    """
    own = {"HPO_WORKER": worker, "HPO_RESTORE_FROM": os.pathsep.join(map(str, restore_from))}
    return replace(first, attempt=attempt, env={**first.env, **own}, resumed=resumed)


def of_defaults(inputfile: InputFile, folder: Path, scratch: Path) -> Attempt:
    """What a runner needs to run the defaults in `folder`, with the output on the terminal as well.

    Without HPO_CHECKPOINT_DIR checkpoints go to ./checkpoints, and a second run there begins anew, as by hand.
    """
    keywords = inputfile.control
    seed = keywords["seed"] if keywords["seed"] is not None else _SEED
    return Attempt(
        number=0,
        attempt=1,
        id=_ID,
        params={"output_dir": str(folder), **reserved(_ID, _ID, seed, keywords), **inputfile.defaults},
        folder=folder,
        scratch=scratch,
        env=_variables(_ID, _ID, folder, inputfile.path),
        rng_seed=seed,
        live=True,
        **_limits(keywords),
    )


def _variables(experiment: str, trial: str, submit_dir: str | Path, inputfile: str | Path) -> dict[str, str]:
    """What every script finds in its environment."""
    return {
        "HPO_EXPERIMENT": experiment,
        "HPO_TRIAL": trial,
        "HPO_SUBMIT_DIR": str(submit_dir),
        "HPO_INPUT_DIR": str(Path(inputfile).parent),
    }


def _limits(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an `Attempt` that &control sets: threads, seconds, bytes of output."""
    timeout = keywords["trial_timeout"]
    return {
        "nthreads": int(keywords["nthreads"]),
        "timeout": None if timeout is None else float(timeout),
        "max_output": int(keywords["max_output"]),
    }


def write_result(folder: Path, value: float) -> None:
    """Leave the value where CANDLE's users look for it; `result.txt` appears whole. Raises `OSError`."""
    folder.mkdir(exist_ok=True)  # the script may have removed it
    put(f"{folder}/candle_value_to_return.json", json.dumps({"val_loss": [value]}))
    put(f"{folder}/.result.txt", f"{value!r}\n")
    os.rename(f"{folder}/.result.txt", f"{folder}/result.txt")


def put(path: str, text: str) -> None:
    """Write a small file; a third of the cost of `Path.write_text`, which counts where a trial takes a millisecond."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        write_all(descriptor, text.encode())
    finally:
        os.close(descriptor)
