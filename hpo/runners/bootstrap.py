"""Runs a Python model script inside a trial's process, and writes down what came of it.

This file is also run by interpreters that do not have our package (`python_bin_path`): it imports the standard library
only, and is written in the Python of 3.6. The warm parent (`parent.py`) loads it and calls `run_trial` in each child;
a fresh process is ``python bootstrap.py SETUP REQUEST``; `isolation = none` calls `Program` in the worker.

SETUP, the same for every trial of a worker: `script` (its path), `form`, `snapshot` (original path -> copy), `path`
(folders appended to sys.path), `argv`, `objective`. REQUEST, one trial: `params`, `seed`, `nthreads`, `outcome` (the
file to write). An outcome is ``{"value", "metrics", "notes"}`` or ``{"failure": {"kind", "detail", "where",
"traceback"}}``.
"""

import atexit
import importlib.abc
import importlib.machinery
import importlib.util
import json
import linecache
import math
import os
import random
import signal
import sys
import threading
import traceback
import types
import weakref
from typing import Any, Callable, Dict, Iterator, List, NoReturn, Optional, Tuple

#: Seconds that threads and exit handlers of a script may take after its value is known.
EXIT_GRACE = 5
#: The exit status of a process that could not write its outcome (EX_IOERR); its standard error says why.
CANNOT_WRITE = 74

_GLOBALS = ("hyperparams", "candle_params")
_VALUES = ("candle_value_to_return", "val_to_return")
_MAX_TEXT = 2000
_exit_at_once = os._exit
_HERE = os.path.abspath(__file__)


class NoResult(Exception):
    """The script ended, and what it left is no number; `failure` says what it is instead."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.failure: Dict[str, Any] = {"kind": kind, "detail": detail, "where": None, "traceback": None}


class Program:
    """A model script with its local modules: compiled once, run once per trial.

    Code is read from the snapshot and carries the names of the original files, so that `__file__`, data beside it and
    tracebacks are the user's own.
    """

    def __init__(self, setup: Dict[str, Any]) -> None:
        self.script: str = setup["script"]
        self.form: str = setup["form"]
        self.objective: str = setup.get("objective") or "val_loss"
        self.snapshot: Dict[str, str] = dict(setup.get("snapshot") or {})
        self.snapshot.setdefault(self.script, self.script)
        self._folders: List[str] = list(setup.get("path") or ())
        self._argv = [self.script, *(setup.get("argv") or ())]
        self._code: Dict[str, types.CodeType] = {}
        self._module: Optional[types.ModuleType] = None
        self._names: Dict[str, Any] = {}

    def compile_all(self) -> None:
        """Compile every file of the snapshot, which runs none of it; a mistake in one is met when it is imported."""
        for path in self.snapshot:
            try:
                self.code(path)
            except Exception:
                continue

    def code(self, path: str) -> types.CodeType:
        """The compiled code of a file of the snapshot, under the file's original name."""
        if path not in self._code:
            source = self.source(path)
            lines = importlib.util.decode_source(source).splitlines(True)
            linecache.cache[path] = (len(source), None, lines, path)
            self._code[path] = compile(source, path, "exec", dont_inherit=True)
        return self._code[path]

    def source(self, path: str) -> bytes:
        """The bytes of a file of the snapshot."""
        with open(self.snapshot[path], "rb") as file:
            return file.read()

    def install(self) -> None:
        """Make sys.path and imports what they are for a script started by hand."""
        sys.path.insert(0, os.path.dirname(self.script))
        sys.path.extend(folder for folder in self._folders if folder not in sys.path)
        sys.meta_path.insert(0, SnapshotFinder(self))

    def value(self, params: Dict[str, Any]) -> Tuple[float, Dict[str, Any], List[str]]:
        """Run the script; return the objective, the other metrics, and notes for the user.

        Raises `NoResult` when it leaves no number, and whatever the script raises.
        """
        sys.argv = list(self._argv)
        return measure(self._run_plain(params) if self.form == "plain" else self._run_function(params), self.objective)

    def _run_function(self, params: Dict[str, Any]) -> Any:
        if self._module is None:
            self._module = self._import()
        try:
            if self.form == "canonical":
                defaults = self._module.initialize_parameters()
                params = dict(defaults or {}, **params)
            return self._module.run(params)
        except SystemExit as exit_:
            raise self._exited(exit_, "run") from exit_

    def _import(self) -> types.ModuleType:
        """Import the script as a module of its own name, so that what it defines can be pickled."""
        name = os.path.splitext(os.path.basename(self.script))[0]
        name = name if name not in sys.modules else name + "_script"
        spec = importlib.util.spec_from_file_location(name, self.script, loader=SnapshotLoader(self, name, self.script))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except SystemExit as exit_:
            raise self._exited(exit_, "the script") from exit_
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module

    def _exited(self, exit_: SystemExit, who: str) -> NoResult:
        self._fail_unless_success(exit_)
        return NoResult("no-value", f": {who} called sys.exit before it returned one")

    def _run_plain(self, params: Dict[str, Any]) -> Any:
        module = types.ModuleType("__main__")
        names = vars(module)
        names.update({"__file__": self.script, "__builtins__": __builtins__})
        names.update(dict.fromkeys(_GLOBALS, params))
        sys.modules["__main__"] = module
        self._names = names
        try:
            exec(self.code(self.script), names)  # noqa: S102
        except SystemExit as exit_:
            self._fail_unless_success(exit_)
        return self.left()

    def _fail_unless_success(self, exit_: SystemExit) -> None:
        code = exit_.code
        if code is None or code == 0:
            return
        if isinstance(code, int):
            raise NoResult("exit-code", str(code))
        sys.stderr.write(f"{_text(code)}\n")
        raise NoResult("exit-code", "1: " + _text(code))

    def left(self) -> Any:
        """What a plain script has left at module level so far: a Keras `history` wins, as in CANDLE."""
        history = self._names.get("history")
        scores = getattr(history, "history", history)
        found = [self._names[name] for name in _VALUES if name in self._names]
        if isinstance(scores, dict) and (self.objective in scores or not found):
            return history
        if not found:
            raise NoResult("no-value", ": it set neither {} nor a history".format(" nor ".join(reversed(_VALUES))))
        return found[0]


class SnapshotLoader(importlib.abc.SourceLoader):
    """Loads a module from its copy, under its original file name. Nothing is cached on the disk."""

    def __init__(self, program: Program, name: str, path: str) -> None:
        self._program, self._name, self._path = program, name, path

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_data(self, path: Any) -> bytes:
        if path in self._program.snapshot:
            return self._program.source(path)
        with open(path, "rb") as file:
            return file.read()

    def get_code(self, fullname: str) -> types.CodeType:
        return self._program.code(self._path)


class SnapshotFinder(importlib.abc.MetaPathFinder):
    """Finds the script's own modules in the snapshot, where Python would find them in the original folders."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Optional[importlib.machinery.ModuleSpec]:
        for folder in sys.path if path is None else path:
            base = os.path.join(os.path.abspath(folder), fullname.rpartition(".")[2])
            for file in (os.path.join(base, "__init__.py"), base + ".py"):
                if file in self._program.snapshot:
                    return self._spec(fullname, file)
        return None

    def _spec(self, fullname: str, file: str) -> Optional[importlib.machinery.ModuleSpec]:
        package = [os.path.dirname(file)] if os.path.basename(file) == "__init__.py" else None
        loader = SnapshotLoader(self._program, fullname, file)
        return importlib.util.spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=package)


# -- what a value is -------------------------------------------------------------------------------------------------


def measure(returned: Any, objective: str) -> Tuple[float, Dict[str, Any], List[str]]:
    """Make the objective, the other metrics and notes of what a script returned. Raises `NoResult`.

    A number (also of NumPy or torch); a dictionary that has the objective; an object whose `history` is such a
    dictionary (Keras), of which every list counts by its last entry; the pair (validation scores, inference scores).
    """
    metrics: Dict[str, Any] = {}
    if isinstance(returned, tuple) and len(returned) == 2 and all(isinstance(part, dict) for part in returned):
        metrics = {f"infer_{name}": value for name, value in returned[1].items()}
        returned = returned[0]
    scores = getattr(returned, "history", returned)
    if not isinstance(scores, dict):
        return number(returned), {}, []
    if objective not in scores:
        names = ", ".join(repr(_text(name)) for name in scores) or "an empty dictionary"
        raise NoResult("no-objective", f"{objective!r}, but {names}")
    metrics.update((_text(name), value) for name, value in scores.items() if name != objective)
    if scores is not returned:
        metrics = {name: _last(value) for name, value in metrics.items()}
    kept = {name: _plain(value) for name, value in metrics.items()}
    lost = sorted(name for name, value in kept.items() if value is _NOT_PLAIN)
    notes = [f"the metric {n!r} was not kept: it is a {type(metrics[n]).__name__}" for n in lost]
    return number(_last(scores[objective])), {n: v for n, v in kept.items() if v is not _NOT_PLAIN}, notes


def number(value: Any) -> float:
    """The value as a finite float. Raises `NoResult` ("wrong-type" or "not-finite")."""
    try:
        single = value.item() if hasattr(value, "item") else value
        if isinstance(single, (str, bytes, bytearray, bool)):
            raise TypeError
        result = float(single)
    except OverflowError:
        raise NoResult("not-finite", _described(value)) from None
    except Exception:
        raise NoResult("wrong-type", _described(value)) from None
    if not math.isfinite(result):
        raise NoResult("not-finite", str(result))
    return result


_NOT_PLAIN = object()


def _last(value: Any) -> Any:
    return value[-1] if isinstance(value, (list, tuple)) and value else value


def _plain(value: Any) -> Any:
    """A metric as JSON has it: NumPy and torch scalars and arrays are unpacked, NaN is None."""
    if isinstance(value, (str, bool, int, type(None))):
        return value
    for unpack in ("item", "tolist"):
        try:
            value = getattr(value, unpack)()
            break
        except Exception:  # not a scalar, not an array
            continue
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, dict):
        items = {_text(name): _plain(item) for name, item in value.items()}
        return _NOT_PLAIN if any(item is _NOT_PLAIN for item in items.values()) else items
    if isinstance(value, (list, tuple)):
        entries = [_plain(item) for item in value]
        return _NOT_PLAIN if any(entry is _NOT_PLAIN for entry in entries) else entries
    return _NOT_PLAIN


def _described(value: Any) -> str:
    """A value and its type in a few words, whatever its own repr does."""
    if value is None:
        return "None"
    kind = type(value).__name__
    if type(value).__module__ != "builtins":
        kind = "{}.{}".format(type(value).__module__.partition(".")[0], kind)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    except BaseException:
        return f"of type {kind}"
    return "{} ({})".format(text if len(text) <= 80 else text[:77] + "...", kind)


def _text(value: Any) -> str:
    """`str(value)`, bounded, also for objects that cannot be turned into text."""
    try:
        text = str(value)
        text.encode("utf-8")
    except BaseException:
        return f"<{type(value).__name__} that cannot be shown>"
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "..."


# -- what went wrong -------------------------------------------------------------------------------------------------


def failure_of(error: BaseException, program: Program) -> Dict[str, Any]:
    """Describe what a script raised: its kind, the last frame in the user's code, the traceback without ours."""
    if isinstance(error, NoResult):
        return error.failure
    try:
        shown = "".join(_shown(traceback.TracebackException(type(error), error, error.__traceback__)).format())
    except BaseException:  # an exception with a hostile __cause__, or no memory left
        shown = f"{type(error).__name__}\n"
    kind, detail = _kind(error)
    return {"kind": kind, "detail": detail, "where": _where(error, program), "traceback": shown}


def _shown(report: Any) -> Any:
    """Take our frames, and those of the import machinery, out of a traceback and of those it was raised from."""
    report.stack[:] = [frame for frame in report.stack if not _is_ours(frame.filename)]
    linked = [report.__cause__, report.__context__, *(getattr(report, "exceptions", None) or ())]
    for other in linked:
        if other is not None:
            _shown(other)
    return report


def _is_ours(file: str) -> bool:
    return file == _HERE or file.startswith("<frozen importlib")


def _kind(error: BaseException) -> Tuple[str, str]:
    message, name = _text(error), type(error).__name__
    if isinstance(error, ImportError):
        missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else message
        return "import", missing.replace("cannot import name ", "", 1)
    if name == "OutOfMemoryError" or "CUDA out of memory" in message or "CUDA error: out of memory" in message:
        return "cuda-out-of-memory", message.partition("\n")[0]
    return "exception", f"{name}: {message}" if message else name


def _where(error: BaseException, program: Program) -> Optional[str]:
    if isinstance(error, SyntaxError) and error.filename in program.snapshot:
        return f"{error.filename}:{error.lineno}"
    where = None
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code.co_filename in program.snapshot:
            where = f"{code.co_filename}:{step.tb_lineno} in {code.co_name}"
        step = step.tb_next
    return where


# -- the random numbers and threads of a trial -----------------------------------------------------------------------


def prepare_libraries(seed: int, nthreads: int) -> None:
    """Seed and bound the threads of the libraries that are loaded; do it for the others when they are imported."""
    random.seed(seed)
    actions: Dict[str, Callable[[Any], Any]] = {
        "numpy": lambda module: module.random.seed(seed % 2**32),
        "torch": lambda module: (module.manual_seed(seed), module.set_num_threads(nthreads)),
        "tensorflow": lambda module: module.random.set_seed(seed),
    }
    later = {}
    for name, action in actions.items():
        if name in sys.modules:
            action(sys.modules[name])
        else:
            later[name] = action
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, AfterImport)]
    sys.meta_path.insert(0, AfterImport(later))


class AfterImport(importlib.abc.MetaPathFinder):
    """Calls an action on a module when it has been imported."""

    def __init__(self, actions: Dict[str, Callable[[Any], Any]]) -> None:
        self._actions = actions

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Optional[importlib.machinery.ModuleSpec]:
        action = self._actions.pop(fullname, None)
        spec = importlib.util.find_spec(fullname) if action else None
        if spec is None or spec.loader is None or action is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            execute(module)
            assert action is not None
            action(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def widen_blas(nthreads: int) -> None:
    """Give an OpenBLAS or MKL that the warm parent loaded with one thread the trial's number of threads."""
    if nthreads == 1:
        return
    import ctypes

    for library in _loaded_libraries():
        for name in ("openblas_set_num_threads", "MKL_Set_Num_Threads"):
            for symbol in (name, name + "64_", "scipy_" + name, "scipy_" + name + "64_"):
                function = getattr(ctypes.CDLL(library), symbol, None)
                if function is not None:
                    function(ctypes.c_int(nthreads))


def _loaded_libraries() -> Iterator[str]:
    try:
        with open("/proc/self/maps") as file:
            files = {line.split(None, 5)[-1].strip() for line in file if "/" in line}
    except OSError:
        return iter(())
    names = ("openblas", "mkl_rt")
    return iter(sorted(f for f in files if ".so" in f and any(n in os.path.basename(f) for n in names)))


# -- a trial in a process of its own ---------------------------------------------------------------------------------


def run_trial(program: Program, request: Dict[str, Any]) -> NoReturn:
    """Run one trial and end this process. Exit handlers run, and threads are waited for, but not for ever."""
    own = os.getpid()
    if program.form == "plain":
        _record_at_exit(program, request["outcome"])
    outcome = outcome_of(program, request)
    if os.getpid() != own:  # a copy that the script forked and that ran on to the script's end
        _leave(1 if "failure" in outcome else 0)
    write(request["outcome"], outcome)
    _leave(0)


def outcome_of(program: Program, request: Dict[str, Any]) -> Dict[str, Any]:
    """Run the script for one request; a failure's traceback is printed, as Python would."""
    try:
        return _success(*program.value(request["params"]))
    except BaseException as error:
        failure = failure_of(error, program)
        _print_error(failure["traceback"])
        return {"failure": failure}


def _success(value: float, metrics: Dict[str, Any], notes: List[str]) -> Dict[str, Any]:
    return {"value": value, "metrics": metrics, "notes": notes}


def _print_error(text: Optional[str]) -> None:
    try:
        sys.stdout.flush()
        sys.stderr.write(text or "")
        sys.stderr.flush()
    except Exception:  # the script closed or replaced them
        pass


def write(path: str, outcome: Dict[str, Any]) -> None:
    """Write the outcome under its name in one step. Where that is impossible the process ends, and says so."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w") as file:
            json.dump(outcome, file)
        os.rename(path + ".new", path)
    except OSError as error:
        _print_error(f"the result could not be written: {error}\n")
        _exit_at_once(CANNOT_WRITE)


def _record_at_exit(program: Program, path: str) -> None:
    """Have `os._exit(0)` of a plain script that has set its value count as a success, as `sys.exit(0)` does."""
    own = os.getpid()

    def exit_recording(status: int) -> NoReturn:
        if os.getpid() == own and status == 0:
            try:
                write(path, _success(*measure(program.left(), program.objective)))
            except NoResult as error:
                write(path, {"failure": error.failure})
        _exit_at_once(status)

    os._exit = exit_recording


def _leave(status: int) -> NoReturn:
    """End as the interpreter does, with all output flushed; the alarm ends what does not end by itself."""
    _flush()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    signal.alarm(EXIT_GRACE)
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException:  # the value is known
        pass
    _flush()
    _exit_at_once(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # closed by the script
            continue
    try:
        import ctypes

        ctypes.CDLL(None).fflush(None)  # what C libraries printed
    except Exception:  # an interpreter without ctypes
        pass


def main(arguments: List[str]) -> NoReturn:
    """A fresh process: ``python bootstrap.py SETUP REQUEST``."""
    here = os.path.dirname(_HERE)
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    with open(arguments[0]) as file:
        program = Program(json.load(file))
    with open(arguments[1]) as file:
        request = json.load(file)
    start(program, request)


def leave_exit_handlers_to_parent() -> None:
    """In a fork: forget what the packages of the warm parent tidy up at its end; the script's own handlers will run.

    What they would remove (a temporary folder, say) is shared with every other trial. torch's alone take longer than
    all the rest of a trial that does nothing.
    """
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]
    if "logging" in sys.modules:
        atexit.register(sys.modules["logging"].shutdown)
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._finalizer_registry.clear()
        atexit.register(util._exit_function)


def start(program: Program, request: Dict[str, Any]) -> NoReturn:
    """Begin a trial in a process that is already its own."""
    import faulthandler

    sys.stdout = sys.__stdout__ = line_buffered(1, sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = line_buffered(2, sys.stderr)  # type: ignore[misc]
    faulthandler.enable()  # a crash in native code shows its Python frames
    program.install()
    prepare_libraries(request["seed"], request["nthreads"])
    widen_blas(request["nthreads"])
    run_trial(program, request)


def line_buffered(number: int, like: Any) -> Any:
    """A text stream over descriptor 1 or 2 that writes lines as they come: a killed script's last ones tell most."""
    return open(number, "w", encoding=like.encoding, errors=like.errors, buffering=1, closefd=False)


if __name__ == "__main__":
    main(sys.argv[1:])
