"""sbatch's own variables in a user's environment (SBATCH_ACCOUNT): they count as if they stood in custom_sbatch_args.

sbatch itself would put them before the lines of a script. Written into the script they hold for jobs that are submitted
later and from elsewhere, too, and our checks see them.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpo.slurm.commands import SBATCH_OPTIONS
from hpo.slurm.request import KEYWORDS, MEMORY, Custom


def carried(
    control: Mapping[str, Any], given: Mapping[str, str], environ: Mapping[str, str] = os.environ
) -> Iterator[tuple[str, str]]:
    """Yield the variables that hold, and the option that each stands for: where the input file says nothing else."""
    said = Custom.of(control).names() | {option for option, keyword in KEYWORDS.items() if keyword in given}
    for variable, option in SBATCH_OPTIONS.items():
        kin = MEMORY if option in MEMORY else (option,)
        if variable in environ and not said.intersection(kin):
            said.add(option)
            yield variable, f"--{option}={environ[variable]}" if environ[variable] else f"--{option}"


def added(control: Mapping[str, Any], options: Sequence[str]) -> dict[str, str]:
    """The keyword that says the options, before what the file says; nothing when there are none."""
    words = (shlex.join(options), control["custom_sbatch_args"])
    return {"custom_sbatch_args": " ".join(filter(None, words))} if options else {}


def other_cluster(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The variable that sends jobs to another cluster than `name`, with its value; "" when there is none."""
    wanted = ((each, environ.get(each, "")) for each in ("SLURM_CLUSTERS", "SBATCH_CLUSTERS"))
    return next((f"{variable}={value}" for variable, value in wanted if value not in ("", name)), "")
