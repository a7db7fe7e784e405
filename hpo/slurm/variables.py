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
from hpo.slurm.request import CPUS, KEYWORDS, MEMORY, Custom

#: The keywords that say which GPUs a task has.
_GPUS = frozenset({"worker_type", "gpus_per_trial", "workers_per_gpu"})
#: The options, beside --gres, that say it.
_GPU_OPTIONS = ("gpus", "gpus-per-node", "gpus-per-task")
#: Two forms of one wish: of each sbatch takes one.
_FORMS = (MEMORY, CPUS, _GPU_OPTIONS, ("hint", "threads-per-core"), ("core-spec", "thread-spec"))
#: The option that needs no value: of any other, a variable that is empty says nothing.
_BARE = "exclusive"


def carried(
    control: Mapping[str, Any], given: Mapping[str, str], environ: Mapping[str, str] = os.environ
) -> Iterator[tuple[str, str]]:
    """Yield the variables that hold, and the option that each stands for: where the input file says nothing else."""
    custom = Custom.of(control)
    said = custom.names() | {option for option, keyword in KEYWORDS.items() if keyword in given}
    if "nthreads" in given:
        said.add("cpus-per-task")
    gpus_said = not _GPUS.isdisjoint(given) or not said.isdisjoint(_GPU_OPTIONS)
    if gpus_said or "gpu" in custom.value("gres"):
        said.update(_GPU_OPTIONS)
    for variable, option in SBATCH_OPTIONS.items():
        value = environ.get(variable, "")
        if option == "gres" and gpus_said:
            value = ",".join(part for part in value.split(",") if part.partition(":")[0] != "gpu")
        if variable in environ and (value or option == _BARE) and not said.intersection(_kin(option)):
            said.add(option)
            yield variable, f"--{option}={value}" if value else f"--{option}"


def _kin(option: str) -> Sequence[str]:
    """The options of which sbatch takes one: that of a variable is not added where another is there."""
    return next((kin for kin in _FORMS if option in kin), (option,))


def added(control: Mapping[str, Any], options: Sequence[str]) -> dict[str, str]:
    """The keyword that says the options, before what the file says; nothing when there are none."""
    words = (shlex.join(options), control["custom_sbatch_args"])
    return {"custom_sbatch_args": " ".join(filter(None, words))} if options else {}


def other_cluster(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The variable that sends jobs to clusters other than `name`, with its value; "" when there is none."""
    for variable in ("SLURM_CLUSTERS", "SBATCH_CLUSTERS"):
        value = environ.get(variable, "")
        wanted = {each.strip() for each in value.casefold().split(",")} - {""}
        if name and wanted and wanted.isdisjoint({name.casefold(), "all"}):
            return f"{variable}={value}"
    return ""
