"""The parent of a worker's trials: forks each of them, and lets none of what they start outlive them.

A worker starts one such process (``python parent.py SOCKET WORKER_PID SETUP``) and talks to it over an inherited
socketpair, JSON objects a line each:

    worker -> parent   {"run": REQUEST}, with the write end of the output pipe; {"signal": N} to the running trial
    parent -> worker   {"ready": …}, {"started": pid}, {"refused": why}, {"ended": status, "left": N, "notes": […]}

REQUEST is a file: `folder`, `env`, `outcome`, and either `argv` (a command to execute) or what `bootstrap.py` needs.

*Warm*: it has imported the packages that the script imports first, so that a trial is a fork (tens of milliseconds)
instead of an interpreter that imports torch (seconds). A fork copies only the forking thread: a lock held by another
one, or a thread pool that OpenMP believes to be there, hangs the child. Hence it is started with one thread per library
and a passive OpenMP, imports installed packages only, runs no tensor operation and no user code, and has exactly one
thread before each fork. Otherwise it executes itself anew, *cold*: then each trial is a fresh process, and says so.

It adopts orphans (PR_SET_CHILD_SUBREAPER), so whatever a trial started, also daemons with a cleared environment, is
below it and is killed before "ended" is sent. The trial itself is reaped after that: until then its number is its own.
It outlives its worker by no more than the time to do the same once again: the kernel sends it SIGTERM when the worker
dies, and the socket closes.

Like `bootstrap.py` it runs in interpreters without our package: standard library only, in the Python of 3.6.
"""

import array
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from typing import Any, Dict, List, NoReturn, Optional, Tuple

LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
#: Seconds in which what a trial left behind may end by itself, and for which it is then killed again and again.
_PATIENCE = 0.2
_KILL_FOR = 10.0
#: Of what packages print when they are imported, as much is shown in each trial's output.
_MAX_GREETING = 65536
#: Exit status of a child that could not be made into the trial; its outcome says why.
_NOT_STARTED = 127
_DEFAULTS = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGCHLD", "SIGALRM", "SIGUSR1", "SIGUSR2")


class Parent:
    """The process; `serve` ends when the worker does."""

    def __init__(self, arguments: List[str]) -> None:
        self._arguments = arguments
        self._socket = socket.socket(fileno=int(arguments[0]))
        self._worker = int(arguments[1])
        with open(arguments[2]) as file:
            self._setup: Dict[str, Any] = json.load(file)
        self._cold = arguments[3] if len(arguments) > 3 else ""  # why it is, where it should be warm
        self._warm = LINUX and not self._cold and self._setup.get("script") is not None
        self._program: Any = None
        self._bootstrap: Any = None
        self._greeting = b""
        self._buffer = b""
        self._descriptors: List[int] = []
        self._child: Optional[int] = None
        self._wakeup = os.pipe()

    # -- starting ------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Import what the script imports, without running anything of it, and stay able to fork."""
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        if self._warm:
            self._bootstrap = _load_bootstrap()
            self._import_packages()
            self._bootstrap.prepare_libraries(seed=0, nthreads=1)  # torch reads ten source files for its first seed
            self._stay_forkable()
            if _cuda_is_spoilt():
                self._become_cold("CUDA was used while its packages were imported")
            self._program = self._bootstrap.Program(self._setup)
            self._program.compile_all()
            self._greeting = self._printed()
            gc.collect()
            if hasattr(gc, "freeze"):
                gc.freeze()  # a collection in a child then copies none of the parent's pages
        self._watch_signals()

    def _import_packages(self) -> None:
        """Import the packages. One that fails is for the script to meet, in a process where it was not tried before."""
        sys.path.extend(folder for folder in self._setup["path"] if folder not in sys.path)
        sys.argv = [self._setup["script"]] + self._setup["argv"]
        for name in self._setup["preload"]:
            if _is_attribute(name):
                continue
            try:
                importlib.import_module(name)
            except BaseException as error:
                self._become_cold(f"importing {name} beforehand failed ({type(error).__name__})")

    def _printed(self) -> bytes:
        """What the packages printed; a script that imports them by itself would have printed it, too."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        with open(self._setup["log"], "rb") as file:
            return file.read(_MAX_GREETING)

    def _watch_signals(self) -> None:
        for descriptor in self._wakeup:
            os.set_blocking(descriptor, False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup[1])

    def _stay_forkable(self) -> None:
        """A fork needs exactly one thread here."""
        threads = len(os.listdir("/proc/self/task")) if self._warm else 1
        if threads != 1:
            self._become_cold(f"{threads} threads run in the one that imported its packages")

    def _become_cold(self, why: str) -> NoReturn:
        """Execute this file anew: the same process and socket, with nothing imported and one thread."""
        note = "ran in a fresh process, because " + why
        os.set_inheritable(self._socket.fileno(), True)
        os.execv(sys.executable, [sys.executable, os.path.abspath(__file__), *self._arguments[:3], note])

    # -- serving -------------------------------------------------------------------------------------------------------

    def serve(self) -> NoReturn:
        """Answer the worker until it is gone."""
        self._send({"ready": self._warm})
        while True:
            readable = select.select([self._socket.fileno(), self._wakeup[0]], [], [])[0]
            if self._wakeup[0] in readable:
                os.read(self._wakeup[0], 4096)
            if os.getppid() != self._worker:
                self._end()
            if self._child is not None:
                self._look_after_child()
            if self._socket.fileno() in readable:
                if self._child is None:
                    self._stay_forkable()
                self._receive()

    def _receive(self) -> None:
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        data, ancillary, _, _ = self._socket.recvmsg(65536, room)
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self._descriptors.extend(array.array("i", payload))
        if not data:
            self._end()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line.decode()))

    def _obey(self, message: Dict[str, Any]) -> None:
        if "run" in message:
            self._start(message["run"], self._descriptors.pop(0))
        elif self._child is not None:
            _kill_group(self._child, message["signal"])

    def _send(self, message: Dict[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._end()

    def _end(self) -> NoReturn:
        if self._child is not None:
            self._end_all(self._child)
        os._exit(0)

    # -- one trial -----------------------------------------------------------------------------------------------------

    def _start(self, request_file: str, output: int) -> None:
        own = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._send({"refused": f"no process could be made: {error.strerror}"})
        else:
            if pid == 0:
                self._become_trial(own, request_file, output)
            self._child = pid
            self._send({"started": pid})
        finally:
            os.close(output)

    def _become_trial(self, parent: int, request_file: str, output: int) -> NoReturn:
        """In the child: take a session, standard streams, environment and folder of its own, then run the script."""
        try:
            os.setsid()
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(_NOT_STARTED)
            _reset_signals()
            self._take_streams(output)
            with open(request_file) as file:
                request = json.load(file)
            _offer_to_oom_killer()
            _change_environment(request["env"])
            self._run(request, request_file)
        except BaseException:
            traceback.print_exc()
        os._exit(_NOT_STARTED)

    def _run(self, request: Dict[str, Any], request_file: str) -> None:
        try:
            os.chdir(request["folder"])
        except OSError as error:
            return _fail(request, "storage", "{}: {}".format(request["folder"], error.strerror))
        if self._warm:
            os.write(1, self._greeting)
            self._bootstrap.leave_exit_handlers_to_parent()
            self._bootstrap.start(self._program, request)
        argv = request.get("argv")
        if argv is None:
            bootstrap = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap.py")
            argv = [sys.executable, bootstrap, self._arguments[2], request_file]
        try:
            os.execvp(argv[0], argv)
        except OSError as error:
            return _fail(request, "interpreter", f"{argv[0]}: {error.strerror}")

    def _take_streams(self, output: int) -> None:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        for descriptor in {null, output, self._socket.fileno(), self._wakeup[0], self._wakeup[1]}:
            if descriptor > 2:
                os.close(descriptor)

    def _look_after_child(self) -> None:
        """Reap adopted orphans as they end; when the trial itself has ended, end all that it left and say so."""
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            if ended.si_pid == self._child:
                break
            os.waitpid(ended.si_pid, 0)
        status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        left, survivors = self._end_all(ended.si_pid, _PATIENCE)
        self._child = None
        notes = [self._cold] if self._cold else []
        if left:
            notes.append(f"what the script left running was ended: {_count(left)}")
        if survivors:
            notes.append(f"what the script left running could not be killed: {_count(survivors)}")
        self._send({"ended": status, "notes": notes})

    def _end_all(self, child: int, patience: float = 0.0) -> Tuple[int, int]:
        """End all below this process and reap it, the trial too; return how many were left, and how many survive.

        Within `patience` seconds they may end by themselves, as helpers do that tidy up shared memory.
        """
        now = time.monotonic()
        while _others(child) and time.monotonic() < now + patience:
            time.sleep(0.002)
        left = living = len(_descendants(os.getpid())) if _others(child) else 0
        _kill_group(child, signal.SIGKILL)
        while not _reaped_all():
            pids = _descendants(os.getpid())
            living = len(pids)
            for pid in pids:
                _kill(pid)
            if time.monotonic() > now + patience + _KILL_FOR:
                return left, living
            time.sleep(0.001)
        return left, 0


def _is_attribute(name: str) -> bool:
    """Whether a dotted name is something in a module rather than one, as `torch.Tensor` is."""
    module, _, attribute = name.rpartition(".")
    return hasattr(sys.modules.get(module), attribute)


def _reaped_all() -> bool:
    """Reap every child that has ended; True when there are none any more."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return True
    return False


def _others(child: int) -> List[int]:
    """The living children of this process beside the trial: orphans that it adopted."""
    return [pid for pid in _children() if pid != child and os.waitpid(pid, os.WNOHANG) == (0, 0)]


def _children() -> List[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:  # a kernel without this file
        return _tree().get(os.getpid(), [])


def _descendants(pid: int) -> List[int]:
    """All processes below `pid`."""
    below = _tree()
    found = list(below.get(pid, ()))
    for process in found:  # grows while it is walked
        found.extend(below.get(process, ()))
    return found


def _tree() -> Dict[int, List[int]]:
    """The living processes by their parents, from /proc; empty where there is none."""
    below: Dict[int, List[int]] = {}
    for name in os.listdir("/proc") if LINUX else ():
        try:
            with open(f"/proc/{int(name)}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if fields[0] not in "ZX":
            below.setdefault(int(fields[1]), []).append(int(name))
    return below


def _count(processes: int) -> str:
    return "1 process" if processes == 1 else f"{processes} processes"


def _cuda_is_spoilt() -> bool:
    """Whether a fork of this process cannot use CUDA, because some package touched it when it was imported."""
    cuda: Any = getattr(sys.modules.get("torch"), "cuda", None)
    if not hasattr(cuda, "_is_in_bad_fork"):
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(bool(cuda._is_in_bad_fork()))
    return os.waitpid(pid, 0)[1] != 0


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass


def _kill_group(leader: int, number: int) -> None:
    """Signal the trial's group, or the trial before it has one; it holds its number, since it is not reaped."""
    for send in (os.killpg, os.kill):
        try:
            send(leader, number)
            return
        except OSError:
            continue


def _change_environment(changes: Dict[str, Optional[str]]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for name in _DEFAULTS:
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _offer_to_oom_killer() -> None:
    """When memory runs out the trial goes, not its worker."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass


def _fail(request: Dict[str, Any], kind: str, detail: str) -> None:
    failure = {"kind": kind, "detail": detail, "where": None, "traceback": None}
    with open(request["outcome"], "w") as file:
        json.dump({"failure": failure}, file)


def _prctl(option: int, value: int) -> None:
    if LINUX:
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _load_bootstrap() -> Any:
    """Load `bootstrap.py` under a name that no script can mean, with this folder not on sys.path."""
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap.py")
    spec = importlib.util.spec_from_file_location("_hpo_bootstrap", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_hpo_bootstrap"] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Serve the worker named on the command line."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    parent = Parent(sys.argv[1:])
    parent.prepare()
    parent.serve()


if __name__ == "__main__":
    main()
