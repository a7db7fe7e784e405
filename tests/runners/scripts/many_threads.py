"""A matrix product that uses the threads it is given, in torch and in NumPy."""

import os

import numpy
import torch


def run(hyperparams):
    a = torch.rand(700, 700)
    b = numpy.random.rand(700, 700)
    return {
        "val_loss": float((a @ a).mean()),
        "numpy": float((b @ b).mean()),
        "torch_threads": torch.get_num_threads(),
        "omp": os.environ["OMP_NUM_THREADS"],
        "threads": len(os.listdir("/proc/self/task")),
    }
