"""What sbatch refuses, what helps, and how to know it before."""

from __future__ import annotations

from hpo.errors import SchedulerError
from hpo.slurm import commands
from hpo.slurm.request import Array

#: sbatch's words, and what helps.
_REMEDIES = {
    "unrecognized option": "'man sbatch' lists them",
    "invalid account": "name yours with project = …; 'sacctmgr show assoc user=$USER' lists them",
    "partition name": "name one that 'sinfo' lists with queue = …",
    "not permitted to use this partition": "name another with queue = …",
    "node configuration": "no node has what is asked for: 'sinfo -o \"%P %c %m %G %f\"' shows what they have",
    "invalid feature": "'sinfo -o %f' shows what --constraint may name",
    "invalid license": "'scontrol show licenses' shows what --licenses may name",
    "reservation": "'scontrol show reservation' shows yours",
    "node name": "'sinfo -N' lists the nodes",
    "generic resource": "'sinfo -o %G' shows what --gres may name",
    "job array": "the array is too large for this cluster: 'hpo check' says how large one may be",
    "submit limit": "you have as many jobs as you may have, or ask for more than that: wait, or lower nworkers",
    "time limit": "ask for less with walltime = …",
    "invalid qos": "see 'sacctmgr show assoc user=$USER format=account,qos', and custom_sbatch_args = --qos=…",
    "temporarily": "this cluster has as many jobs as it keeps at a time (MaxJobCount), or is busy: try again later",
}
#: The words after which nobody knows whether the job was taken, and what helps.
_IN_DOUBT = {
    "socket timed out": "slurmctld is busy: see 'squeue --me' whether the job came through, then 'hpo resume'",
    "did not answer": "see 'squeue --me' whether the job came through ('scancel' ends it), then 'hpo resume'",
    "did not print": "see 'squeue --me' whether the job came through ('scancel' ends it), then 'hpo resume'",
}
#: The words of refusals that no time will change. Anything else may be of a busy cluster, or one whose nodes are away.
_CERTAIN = ("invalid", "unrecognized", "ambiguous", "requires an argument", "mutually exclusive")


def with_remedy(refusal: str, *, submitted: bool) -> str:
    """A refusal, and what helps where that is known. submitted: whether it is of a job, and not of a rehearsal."""
    known = _IN_DOUBT | _REMEDIES if submitted else _REMEDIES
    remedy = next((text for words, text in known.items() if words in refusal.casefold()), "")
    return f"{refusal}; {remedy}" if remedy else refusal


def rehearse(script: str, array: Array) -> tuple[str, bool]:
    """Ask sbatch what it would say to a script and an array; nothing is submitted, and no folder needs to be there.

    Returns its refusal with what helps, "" for none, and whether that is certain: else the jobs may well be accepted.
    """
    try:
        commands.ask("sbatch", "--test-only", f"--array={array.option}", "--chdir=/", text=script)
    except SchedulerError as error:
        refusal = str(error).removeprefix("sbatch: ")
        return with_remedy(refusal, submitted=False), any(words in refusal.casefold() for words in _CERTAIN)
    return "", False
