"""A function of two hyperparameters, smallest at x = 1, y = 2: the least that a model script has to be."""


def run(hyperparams):
    x, y = hyperparams["x"], hyperparams["y"]
    return (x - 1) ** 2 + (y - 2) ** 2
