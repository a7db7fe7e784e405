"""The names of the members of every family, so that the keyword table knows them without importing them.

Each family's own table (`hpo.samplers`, `hpo.pruners`, `hpo.executors`, `hpo.runners`) has exactly these names; a test
compares them.
"""

from __future__ import annotations

WORKFLOWS = ("grid", "bayesian", "random", "qmc")
SAMPLERS = ("grid", "random", "qmc", "tpe", "gp", "cmaes", "nsga2")
PRUNERS = ("median", "asha", "hyperband", "wilcoxon")
EXECUTORS = ("inline", "local", "slurm")
RUNNERS = ("python", "rscript", "bash", "command")
