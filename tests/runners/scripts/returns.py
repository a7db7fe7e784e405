"""Returns what `kind` names."""

import fractions
import math


class History:
    def __init__(self):
        self.history = {"loss": [3.0, 2.0], "val_loss": [5.0, 4.0]}


class Hostile:
    def __float__(self):
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")


VALUES = {
    "float": 0.1,
    "integer": 7,
    "fraction": fractions.Fraction(1, 3),
    "dict": {"val_loss": 0.25, "acc": 0.5, "curve": [1, 2.5], "name": "a", "nan": math.nan},
    "history": History(),
    "history-dict": {"val_loss": [3.0, 2.0], "loss": [1.0, 0.5]},
    "none": None,
    "string": "0.5",
    "list": [0.5],
    "bool": True,
    "complex": 1j,
    "nan": math.nan,
    "inf": -math.inf,
    "huge": 10**400,
    "hostile": Hostile(),
    "no-val-loss": {"loss": 1.0, "acc": 2.0},
    "nan-val-loss": {"val_loss": math.nan},
    "string-val-loss": {"val_loss": "low"},
    "empty-history": {"val_loss": []},
    "odd-metric": {"val_loss": 1.0, "model": Hostile()},
}


def run(hyperparams):
    kind = hyperparams["kind"]
    if kind.startswith("numpy"):
        import numpy

        made = {"scalar": numpy.float32(0.5), "0d": numpy.array(0.5), "1": numpy.array([0.5]), "bool": numpy.True_}
        return made.get(kind.partition("-")[2], numpy.array([1.0, 2.0]))
    if kind.startswith("torch"):
        import torch

        return {"0d": torch.tensor(0.5, requires_grad=True), "1": torch.tensor([0.5])}.get(
            kind.partition("-")[2], torch.zeros(2)
        )
    return VALUES[kind]
