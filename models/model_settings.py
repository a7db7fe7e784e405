"""What the model scripts share beside their images: reading and checking hyperparameters, device, threads.

A script's hyperparameters are the fields of a dataclass, each with its default.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, TypeVar

import torch

Settings = TypeVar("Settings")
DEVICES = ("auto", "cpu", "cuda", "mps")
#: What hpo adds to the dictionary of every trial, as CANDLE does.
ADDED = ("id", "experiment_id", "run_id", "output_dir", "rng_seed", "timeout", "train_bool", "data_type")
SEEDS = range(-(2**63), 2**64)  # what torch takes


def from_hyperparams(cls: type[Settings], hyperparams: Mapping[str, Any]) -> Settings:
    """Return a `cls` with the values that the dictionary has for its fields.

    What else it holds is ignored, but for what looks like a field misspelt: ValueError, in a sentence.
    """
    known = [f.name for f in fields(cls)]
    others = [name for name in hyperparams if name not in known and name not in ADDED]
    near = {name: match[0] for name in others if (match := difflib.get_close_matches(name, known, n=1))}
    if near:
        hints = ", ".join(f"{name} (did you mean {meant}?)" for name, meant in near.items())
        raise ValueError(f"the script has no hyperparameter {hints}: see {cls.__name__}")
    return cls(**{name: value for name, value in hyperparams.items() if name in known})


def from_command_line(cls: type, description: str) -> dict[str, Any]:
    """Return what the command line says of the fields of `cls`: ``--batch-size 64`` or ``--batch_size 64``.

    Also "resume": whether ``--resume`` is there.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for f in fields(cls):
        names = dict.fromkeys((f"--{f.name.replace('_', '-')}", f"--{f.name}"))
        read = str if isinstance(f.default, str) else _literal  # a folder may have a number for its name
        parser.add_argument(*names, dest=f.name, type=read, default=f.default, help=f"[{f.default!r}]", metavar="X")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in output_dir")
    return vars(parser.parse_args())


def check(settings: Any, rules: Mapping[str, tuple[bool, str]]) -> None:
    """ValueError that names every field whose rule (is it kept, how it reads) is broken."""
    broken = {name: rule for name, (kept, rule) in rules.items() if not kept}
    wrong = [f"{name} must be {rule}, not {getattr(settings, name)!r}" for name, rule in broken.items()]
    if wrong:
        raise ValueError("; ".join(wrong))


def shared_rules(settings: Any) -> dict[str, tuple[bool, str]]:
    """The rules of what every script has: seed, rng_seed, threads, device, and of all that is on or off."""
    seed, rng_seed, threads, device = settings.seed, settings.rng_seed, settings.threads, settings.device
    known = isinstance(device, str) and device.partition(":")[0] in DEVICES
    switches = [f.name for f in fields(settings) if isinstance(f.default, bool)]
    return {
        **{name: (isinstance(getattr(settings, name), bool), "true or false") for name in switches},
        "seed": (seed is None or is_seed(seed), "a whole number from -2**63, below 2**64"),
        "rng_seed": (is_seed(rng_seed), "a whole number from -2**63, below 2**64"),
        "threads": (isinstance(threads, Integral) and 0 <= threads < 2**31, "a whole number from 0"),
        "device": (known, "auto, cpu, cuda, one of several such as cuda:1, or mps"),
    }


def is_seed(value: Any) -> bool:
    """Whether `value` is an integer that torch can be seeded with."""
    return isinstance(value, Integral) and value in SEEDS


def is_whole(value: Any) -> bool:
    """Whether `value` is an integer from 1."""
    return isinstance(value, Integral) and value >= 1


def is_real(value: Any) -> bool:
    """Whether `value` is a number from 0, and not infinite."""
    return isinstance(value, Real) and 0 <= value < math.inf


def pick_device(name: str) -> torch.device:
    """Return the device `name`; "auto" is the accelerator if there is one, else the CPU.

    ValueError when there is no such device.
    """
    if name != "auto":
        try:
            return torch.empty(0, device=name).device
        except (RuntimeError, AssertionError, TypeError) as error:  # whatever torch has for it
            reason = str(error).splitlines()[0]
            raise ValueError(f"device = {name!r} cannot be used here ({reason}); cpu always can") from None
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def use_threads(count: int) -> None:
    """Use `count` threads of the CPU; 0: as the environment says, else one.

    torch's own choice, all cores, waits by spinning and makes a shared machine many times slower.
    """
    if count:
        torch.set_num_threads(count)
    elif not os.environ.keys() & {"OMP_NUM_THREADS", "HPO_TRIAL"}:
        torch.set_num_threads(1)


def _literal(text: str) -> Any:
    """`[400, 200]`, `1e-3`, `True`; anything else is text."""
    if text in ("true", "false"):
        return text == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
