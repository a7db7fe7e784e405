"""The random number generators of a script: seed them, take their state, put it back."""

from __future__ import annotations

import importlib.util
import random
import sys
from typing import Any


def seed_everything(seed: int) -> None:
    """Seed `random`, NumPy's global generator if NumPy is installed, and torch on all devices if it is imported.

    torch is not imported for it: import it first, as any script that needs it does. Any integer is a seed.
    """
    random.seed(seed)
    if importlib.util.find_spec("numpy"):
        import numpy as np

        np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed % 2**63)


def get_state() -> dict[str, Any]:
    """Return the states of all generators of the modules imported so far, as something that can be pickled."""
    state: dict[str, Any] = {"random": random.getstate()}
    if numpy := sys.modules.get("numpy"):
        name, keys, *position = numpy.random.get_state()
        state["numpy"] = (name, keys.tolist(), *position)  # plain numbers: torch then reads them without pickle
    if torch := sys.modules.get("torch"):
        state["torch"] = torch.get_rng_state()
        if torch.cuda.is_initialized():
            state["cuda"] = [torch.cuda.get_rng_state(n) for n in _devices(torch)]
        if torch.backends.mps.is_available():
            state["mps"] = torch.mps.get_rng_state()
    return state


def set_state(state: dict[str, Any]) -> None:
    """Put back what `get_state` returned, as far as this process has the modules and devices for it."""
    random.setstate(state["random"])
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy and "numpy" in state:
        numpy.random.set_state(state["numpy"])
    if torch and "torch" in state:
        torch.set_rng_state(state["torch"])
        if "cuda" in state:  # another job may see more or fewer: a script that uses one continues on its own
            for n, kept in zip(_devices(torch), state["cuda"], strict=False):
                torch.cuda.set_rng_state(kept, n)
        if "mps" in state and torch.backends.mps.is_available():
            torch.mps.set_rng_state(state["mps"])


def _devices(torch: Any) -> list[int]:
    """The CUDA devices that this process sees, the current one first."""
    current = torch.cuda.current_device() if torch.cuda.is_initialized() else 0  # to ask would begin to use the GPU
    return sorted(range(torch.cuda.device_count()), key=lambda n: n != current)
