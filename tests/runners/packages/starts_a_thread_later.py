"""Starts a thread at SIGUSR1, as a library may when it is used."""

import signal
import threading

signal.signal(signal.SIGUSR1, lambda *_: threading.Thread(target=threading.Event().wait, daemon=True).start())
