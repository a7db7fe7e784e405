"""Works with processes of its own, in the way that `kind` names."""

import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


class Point:
    def __init__(self, x):
        self.x = x


def square(point):
    return Point(point.x**2)


def run(hyperparams):
    kind = hyperparams["kind"]
    points = [Point(x) for x in (1, 2, 3)]
    if kind in ("fork", "spawn"):
        with multiprocessing.get_context(kind).Pool(2) as pool:
            return sum(point.x for point in pool.map(square, points))
    if kind == "executor":
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            return sum(point.x for point in pool.map(square, points))
    if kind == "threads-left-open":
        pool = ThreadPoolExecutor(2)  # never shut down
        return sum(point.x for point in pool.map(square, points))
    if kind == "pickle":
        return sum(square(point).x for point in pickle.loads(pickle.dumps(points)))
    if kind == "loader":
        import torch

        data = torch.utils.data.TensorDataset(torch.tensor([1.0, 4.0, 9.0]))
        loader = torch.utils.data.DataLoader(data, num_workers=2, persistent_workers=True)
        return sum(batch for (batch,) in loader)
    return int(subprocess.run([sys.executable, "-c", "print(14)"], stdout=subprocess.PIPE, check=True).stdout)
