from __future__ import annotations

import os
import sys

import neighbour_module

try:
    from extra_module import TEXT as extra
except ImportError:
    extra = None


seen = {
    "file": __file__,
    "name": __name__,
    "main": vars(sys.modules["__main__"]) is globals(),
    "argv": sys.argv,
    "path": sys.path[0],
    "cwd": os.getcwd(),
    "same": hyperparams is candle_params,  # noqa: F821
    "trial": os.environ["HPO_TRIAL"],
    "sibling": neighbour_module.TEXT,
}
history = {"val_loss": [1.0], "extra": extra, "seen": seen}
