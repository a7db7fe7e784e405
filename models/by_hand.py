"""What the model scripts do from a command line: training by hand, and commands that begin with a checkpoint."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from model_settings import from_command_line, is_seed

T = TypeVar("T")


class Command(NamedTuple):
    """`python SCRIPT NAME --checkpoint FILE …` does `action(arguments)`; the first line of its text is the help.

    output: the file that is written unless -o names another; None: the action prints. options: further ones, as
    argparse takes them.
    """

    action: Callable[[argparse.Namespace], None]
    output: str | None = None
    options: Mapping[str, Mapping[str, Any]] = {}


def count(default: int, meaning: str) -> dict[str, Any]:
    """An option that is a whole number from 1."""
    return {"type": _count, "default": default, "help": f"{meaning} [{default}]"}


def _seed(text: str) -> int:
    if not text.removeprefix("-").isdecimal() or not is_seed(int(text)):
        raise argparse.ArgumentTypeError(f"a whole number from -2**63, below 2**64, not {text!r}")
    return int(text)


SEED = {"--seed": {"type": _seed, "default": 0, "help": "of what is drawn at random [0]"}}
DATA = {"--data-folder": {"help": "where the data set is now [where it was in training]"}}


def main(
    script: str, text: str, settings: type, run: Callable[[Mapping[str, Any]], Any], commands: Mapping[str, Command]
) -> None:
    """Train and print the value, or do one of the commands; a mistake is a sentence that begins with `script`."""
    try:
        if sys.argv[1:2] and sys.argv[1] in commands:
            arguments = _parser(script, commands).parse_args()
            arguments.action(arguments)
        else:
            print(_train(settings, run, text))
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"{script}: {error}")


def _train(settings: type, run: Callable[[Mapping[str, Any]], Any], text: str) -> Any:
    """Checkpoints go to the run's folder, where no other run overwrites them."""
    hyperparams = from_command_line(settings, text)
    resume = hyperparams.pop("resume")
    folder = Path(hyperparams["output_dir"], "checkpoints")
    if not resume and any(folder.glob("checkpoint_*.pt")):
        raise ValueError(f"{folder} has checkpoints: go on with --resume, or choose another --output-dir")
    os.environ.setdefault("HPO_CHECKPOINT_DIR", str(folder))
    if resume:
        _check_resumable()
    return run(hyperparams)


def _check_resumable() -> None:
    """ValueError when training would begin anew although it is to go on."""
    try:
        from hpo.training import checkpoint
    except ImportError:
        raise ValueError("--resume needs hpo, which is not installed: without it no checkpoints are kept") from None
    if checkpoint.restore() is None:
        raise ValueError(f"there is no whole checkpoint in {checkpoint.folder()} to go on from")


def _parser(script: str, commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=script)
    verbs = parser.add_subparsers(required=True)
    for name, command in commands.items():
        verb = verbs.add_parser(name, help=command.action.__doc__, description=command.action.__doc__)
        verb.set_defaults(action=command.action)
        verb.add_argument("--checkpoint", required=True, help="the file, or the folder of the run or trial")
        for option, details in command.options.items():
            verb.add_argument(option, **details)
        if command.output:
            verb.add_argument("-o", "--output", default=command.output, help=f"[{command.output}]")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1, not {text!r}")
    return int(text)


def load(path: str | Path, script: str, restored: Callable[[dict[str, Any]], T]) -> T:
    """Return what `restored` makes of the state in a checkpoint of `script`; its tensors are on the CPU.

    path: a checkpoint, or the folder of a run or trial, of which the newest is taken. FileNotFoundError when there is
    none, ValueError when it is damaged or another script's. What is read can run no code.
    """
    file = _newest(Path(path))
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)["state"]
        if state["script"] == script:
            return restored(state)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{file} is damaged, or no checkpoint of {script} ({type(error).__name__})") from error
    raise ValueError(f"{file} is a checkpoint of {state['script']}, not of {script}")


def _newest(path: Path) -> Path:
    files = [path] if path.is_file() else [*path.glob("checkpoint_*.pt"), *path.glob("checkpoints/checkpoint_*.pt")]
    if not files:
        raise FileNotFoundError(f"there is no checkpoint {'in ' if path.is_dir() else ''}{path}")
    return max(files, key=lambda file: file.stat().st_mtime_ns)


#: What may be another when training goes on from a checkpoint: how long, where and how, not what.
FREE = {"epochs", "output_dir", "data_folder", "device", "threads", "test", "rng_seed"}
FREE |= {"log_every", "save_every", "keep", "tensorboard", "profile"}


def check_same(state: Mapping[str, Any], now: Mapping[str, Any], data: str) -> None:
    """ValueError when training would go on with other hyperparameters, or data, than those of its checkpoint."""
    check_data(state.get("data"), data)
    saved = state["settings"]
    free = FREE - {"epochs"} if now.get("lr_schedule") == "cosine" else FREE  # its rates follow from their number
    names = [name for name in now if name not in free and name in saved and saved[name] != now[name]]
    if names:
        differences = ", ".join(f"{name} = {saved[name]!r}, not {now[name]!r}" for name in names)
        raise ValueError(f"the checkpoint to go on from was made with {differences}")


def check_data(saved: str | None, now: str) -> None:
    """ValueError when the images are not those of the checkpoint: what is held out now was trained on then.

    saved, now: `Images.fingerprint`; None: the checkpoint has none.
    """
    if saved not in (None, now):
        raise ValueError(
            f"the checkpoint was made with other data: {saved}, not {now}; give those with data_folder or HPO_DATA"
        )
