def run(hyperparams):
    import random

    import torch  # imports numpy

    numpy = __import__("numpy")
    return {
        "val_loss": 0.0,
        "random": random.random(),
        "numpy": numpy.random.rand(),
        "torch": torch.rand(1),
        "order": "".join({"a", "b", "c", "d", "e", "f"}),
    }
