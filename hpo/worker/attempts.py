"""What a script gets for one attempt: its folder with `params.json`, its environment, its limits."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo.experiment import Experiment
from hpo.trial import Attempt

#: The script in an attempt's folder that runs the trial again by hand (a link to the experiment's one copy).
RERUN = "rerun.sh"


def prepare(
    experiment: Experiment,
    number: int,
    params: Mapping[str, Any],
    *,
    folder: Path,
    scratch: Path,
    attempt: int = 1,
    worker: str = "",
    restore_from: Sequence[Path] = (),
    live: bool = False,
    resumed: bool = False,
) -> Attempt:
    """Put `params.json` into an attempt's (existing) folder and return all that a runner needs.

    params: the trial's hyperparameters. restore_from: the checkpoint folders of earlier attempts, newest first.
    live: whether the output goes to our own standard output as well. resumed: whether a paused attempt goes on in its
    folder. Raises `OSError`.
    """
    keywords = experiment.keywords
    trial_id = experiment.space.trial_id(number)
    whole = {"output_dir": str(folder), **experiment.parameters(number, params)}
    put(f"{folder}/params.json", json.dumps(whole))
    specification = experiment.specification
    return Attempt(
        number=number,
        attempt=attempt,
        id=trial_id,
        params=whole,
        folder=folder,
        scratch=scratch,
        env={
            "HPO_EXPERIMENT": experiment.name,
            "HPO_TRIAL": trial_id,
            **({"HPO_WORKER": worker} if worker else {}),
            "HPO_SUBMIT_DIR": specification["submit_dir"],
            "HPO_INPUT_DIR": str(Path(specification["input"]).parent),
            "HPO_CHECKPOINT_DIR": str(folder / "checkpoints"),
            "HPO_RESTORE_FROM": os.pathsep.join(str(path) for path in restore_from),
        },
        rng_seed=whole["rng_seed"] if isinstance(whole["rng_seed"], int) else experiment.rng_seed(number),
        live=live,
        resumed=resumed,
        **limits(keywords),
    )


def limits(keywords: Mapping[str, Any]) -> dict[str, Any]:
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
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
