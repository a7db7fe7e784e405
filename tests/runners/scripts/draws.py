import random

import numpy
import torch


def run(hyperparams):
    return {
        "val_loss": 0.0,
        "random": random.random(),
        "numpy": numpy.random.rand(),
        "torch": torch.rand(1),
        "order": "".join({"a", "b", "c", "d", "e", "f"}),
    }
