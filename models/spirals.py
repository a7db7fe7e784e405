"""A small neural network in NumPy that tells two spirals apart: a plain script, as CANDLE has always run them.

It reads the global dictionary `hyperparams` and leaves the loss on held-out points in `val_to_return`. By hand,
`python spirals.py` takes the values below.
"""

import numpy as np

try:
    hyperparams  # noqa: B018  hpo has set it; by hand it is not there
except NameError:
    hyperparams = {"epochs": 200, "hidden_size": 16, "learning_rate": 0.02, "activation": "tanh", "rng_seed": 1}

ACTIVATIONS = {  # name: (function, its derivative by its own value)
    "tanh": (np.tanh, lambda y: 1 - y**2),
    "relu": (lambda x: np.maximum(x, 0), lambda y: y > 0),
}


def spirals(n, rng):
    """Return n points of two noisy spirals and which of the two each is on: (n, 2), (n, 1)."""
    label = rng.integers(0, 2, size=(n, 1))
    turn = rng.uniform(0.5, 2.5, size=(n, 1)) * np.pi
    angle = turn + np.pi * label
    points = np.hstack([turn * np.cos(angle), turn * np.sin(angle)]) / np.pi
    return points + rng.normal(scale=0.15, size=points.shape), label


def forward(x, weights, function):
    """Return the hidden layer and the probability of label 1: (n, hidden), (n, 1)."""
    w1, b1, w2, b2 = weights
    hidden = function(x @ w1 + b1)
    return hidden, 1 / (1 + np.exp(-(hidden @ w2 + b2)))


def cross_entropy(p, label):
    """Return the mean negative log-likelihood in nats."""
    return float(-np.mean(np.log(np.where(label, p, 1 - p) + 1e-12)))


rng = np.random.default_rng(hyperparams["rng_seed"])
function, derivative = ACTIVATIONS[hyperparams["activation"]]
hidden_size = hyperparams["hidden_size"]
x, label = spirals(1000, np.random.default_rng(0))  # the same points for every trial
x_val, label_val = spirals(1000, np.random.default_rng(1))
weights = [
    rng.normal(size=(2, hidden_size)),
    rng.normal(size=hidden_size),
    rng.normal(size=(hidden_size, 1)) / np.sqrt(hidden_size),
    np.zeros(1),
]
mean, square = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]

for step in range(1, hyperparams["epochs"] + 1):
    hidden, p = forward(x, weights, function)
    error = (p - label) / len(x)
    back = error @ weights[2].T * derivative(hidden)
    gradients = [x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]
    for i, gradient in enumerate(gradients):  # Adam (Kingma & Ba 2015)
        mean[i] = 0.9 * mean[i] + 0.1 * gradient
        square[i] = 0.999 * square[i] + 0.001 * gradient**2
        update = mean[i] / (1 - 0.9**step) / (np.sqrt(square[i] / (1 - 0.999**step)) + 1e-8)
        weights[i] -= hyperparams["learning_rate"] * update
    if step % 100 == 0:
        val_to_return = cross_entropy(forward(x_val, weights, function)[1], label_val)
        print(f"step {step}: validation loss {val_to_return:.4f}", flush=True)

val_to_return = cross_entropy(forward(x_val, weights, function)[1], label_val)
print(f"validation loss {val_to_return:.4f}")
