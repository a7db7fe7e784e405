"""A plain script that ends in the way that `kind` names."""

import os
import signal
import sys

kind = candle_params["kind"]  # noqa: F821
if kind == "exit-0-before":
    sys.exit(0)
if kind == "os-exit-before":
    os._exit(0)
if kind == "os-exit-3-before":
    os._exit(3)
if kind == "abort":
    os.abort()
if kind == "segfault":
    import ctypes

    ctypes.string_at(0)
if kind == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if kind == "term":
    os.kill(os.getpid(), signal.SIGTERM)
if kind == "kill-parent":
    os.kill(os.getppid(), signal.SIGKILL)
    signal.pause()
if kind == "no-value":
    sys.exit()

val_to_return = 1.5

if kind == "exit-0-after":
    sys.exit(0)
if kind == "exit-3-after":
    sys.exit(3)
if kind == "os-exit-after":
    os._exit(0)
if kind == "os-exit-nan":
    val_to_return = float("nan")
    os._exit(0)
