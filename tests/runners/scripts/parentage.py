"""Returns what it can see of the process that forked it."""

import importlib.util
import os
import sys


def modules_before():
    names = ("torch", "numpy", "prints_on_import", "neighbour_module", "parentage", "hpo")
    return [name for name in names if name in sys.modules]


BEFORE = modules_before()


def run(hyperparams):
    import neighbour_module

    parent = f"/proc/{os.getppid()}"
    with open(f"{parent}/environ", "rb") as file:
        environ = dict(pair.split("=", 1) for pair in file.read().decode().split("\0") if pair)
    with open("/proc/self/smaps_rollup") as file:
        private = sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
    return {
        "val_loss": 0.0,
        "pid": os.getpid(),
        "parent": os.getppid(),
        "threads": len(os.listdir(f"{parent}/task")),
        "environ": {name: environ.get(name) for name in environ if name.endswith(("_THREADS", "_POLICY"))},
        "before": BEFORE,
        "neighbour": neighbour_module.TEXT,
        "private_kib": private,
        "fresh": importlib.util.find_spec("_hpo_bootstrap") is None,
    }
