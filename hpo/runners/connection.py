"""The worker's end of the parent of its trials (`parent.py`): starting it, talking to it, ending it."""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo.runners.environment import EnvironmentFault

PROGRAM = Path(__file__).with_name("parent.py")
#: What a library must find when it is loaded: set later it has no effect, and torch's own choice starts threads that
#: spin, which a fork does not survive and a shared node suffers from.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
}
#: Seconds that a parent has to end by itself.
_FAREWELL = 15.0


class ParentLostError(Exception):
    """The parent is not there any more. `status` is its exit status, negative for a signal."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(status, said)
        self.status = status
        self.said = said


class ParentConnection:
    """One parent process. Raises `EnvironmentFault` when `command` cannot be started.

    command: the interpreter to run it with. setup: what is the same for all trials, see `parent.py`; it is written to
    `scratch`. env: the whole environment.
    """

    def __init__(self, command: Sequence[str], setup: Mapping[str, Any], scratch: Path, env: Mapping[str, str]) -> None:
        self._log = scratch / "parent.log"
        setup_file = scratch / "parent.json"
        setup_file.write_text(json.dumps({**setup, "log": str(self._log)}))
        self._socket, theirs = socket.socketpair()
        with theirs, self._log.open("wb") as log:
            try:
                self.process = subprocess.Popen(
                    [*command, str(PROGRAM), str(theirs.fileno()), str(os.getpid()), str(setup_file)],
                    env=dict(env),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # a Ctrl-C on the terminal is for the worker
                )
            except OSError as error:
                self._socket.close()
                raise EnvironmentFault(f"{command[0]}: {error.strerror}") from None
        self._rest = b""
        #: Whether it has come so far as to take requests.
        self.ready = False

    def fileno(self) -> int:
        """For selectors: readable when there are messages."""
        return self._socket.fileno()

    def run(self, request_file: Path, output: int) -> None:
        """Ask for a trial; `output` is the descriptor for all that it prints."""
        message = json.dumps({"run": str(request_file)}).encode() + b"\n"
        with self._watched():
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [output]))]
            sent = self._socket.sendmsg([message], rights)
            self._socket.sendall(message[sent:])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the running trial's process group."""
        with self._watched():
            self._socket.sendall(json.dumps({"signal": int(number)}).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]]:
        """The messages that are there; waits when there are none."""
        with self._watched():
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError
        *lines, self._rest = (self._rest + data).split(b"\n")
        messages = [json.loads(line) for line in lines]
        self.ready = self.ready or any("ready" in message for message in messages)
        return messages

    def kill(self) -> None:
        """End the parent at once; a trial below it dies with it."""
        self.process.kill()
        self.process.wait()
        self._socket.close()

    def close(self) -> None:
        """Let the parent end whatever runs, and end itself."""
        self._socket.close()
        try:
            self.process.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            self.kill()

    @contextlib.contextmanager
    def _watched(self) -> Any:
        try:
            yield
        except OSError:
            self.close()
            raise ParentLostError(self.process.returncode, self._last_words()) from None

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return lines[-1] if lines else ""
