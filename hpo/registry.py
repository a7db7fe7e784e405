"""The names of the families that the keyword table does not import: they lie above it, or are heavy.

The tables of `hpo.executors` and `hpo.runners` have exactly these names; a test compares them. Samplers and pruners
have no names here: their tables are read themselves.
"""

from __future__ import annotations

WORKFLOWS = ("grid", "bayesian", "random", "qmc")
EXECUTORS = ("inline", "local", "slurm")
RUNNERS = ("python", "rscript", "bash", "command")
