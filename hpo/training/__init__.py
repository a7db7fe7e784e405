"""The model script's side: what a script may call while it runs. Every script also works without.

::

    from hpo import training

    training.seed_everything(hyperparams["rng_seed"])
    model, optimizer = ...
    state = training.checkpoint.restore() or {"epoch": 0}      # of an earlier attempt at this trial
    for epoch in range(state["epoch"] + 1, epochs + 1):
        loss = ...
        stop = training.report(epoch, loss)
        training.checkpoint.save({"epoch": epoch, "model": model.state_dict(), ...}, step=epoch, every=60)
        if stop:
            return loss

Outside an experiment reports go nowhere, nothing asks to stop, and checkpoints are written to ./checkpoints. Importing
this package imports neither torch nor NumPy. docs/training.md has the same for other languages: plain files.
"""

from __future__ import annotations

from hpo.training import checkpoint
from hpo.training.reports import report, stop_requested, time_left
from hpo.training.seeds import seed_everything

__all__ = ["checkpoint", "report", "seed_everything", "stop_requested", "time_left"]
