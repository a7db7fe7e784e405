"""Which sampler suits a search: the rule behind `sampler = auto`. The figures behind it are in docs/search.md."""

from __future__ import annotations

from hpo.samplers.base import Task
from hpo.samplers.optuna_models import GP_TRIALS, too_fine, torch_is_there

#: Beyond so many dimensions a Gaussian process has no lead over TPE.
GP_DIMENSIONS = 20


def automatic(task: Task) -> tuple[str, str]:
    """Return what `sampler = auto` means for a search that learns, and why."""
    if len(task.objectives) > 1:
        return "tpe", "there are several objectives"
    if task.conditional:
        return "tpe", "not every parameter is in every trial"
    if task.pruned:
        return "tpe", "it learns from pruned trials, too"
    dimensions = len(task.space.domains())
    if dimensions > GP_DIMENSIONS:
        return "tpe", f"{dimensions} dimensions are more than the {GP_DIMENSIONS} in which Gaussian processes lead"
    if (fine := too_fine(task)) is not None:
        label, number = fine
        return "tpe", f"Gaussian processes list the values of a range, and {label!r} has {number}"
    if not torch_is_there():
        return "tpe", "Gaussian processes would find better values here, but they need torch, which is not installed"
    if task.warm >= GP_TRIALS:
        return "tpe", f"the {task.warm} trials of warm_start are more than Gaussian processes are fitted to quickly"
    ends = task.learnt_from is not None and task.learnt_from <= GP_TRIALS
    later = "" if ends else f"; from trial {GP_TRIALS - task.warm} on TPE takes over"
    return "gp", f"Gaussian processes find the best values in such a space{later}"
