"""Raises what `kind` names."""

import json


class Quiet(BaseException):
    pass


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not even text")

    __repr__ = __str__


class Unpicklable(Exception):
    def __init__(self, a, b):
        super().__init__("two", a)
        self.lock = __import__("threading").Lock()


def deeper(n):
    return deeper(n + 1)


def run(hyperparams):
    kind = hyperparams["kind"]
    if kind == "value":
        raise ValueError("learning rate too high")
    if kind == "library":
        return json.loads("{")
    if kind == "unprintable":
        raise Unprintable
    if kind == "unpicklable":
        raise Unpicklable(1, 2)
    if kind == "base":
        raise Quiet("not an Exception")
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "recursion":
        return deeper(0)
    if kind == "memory":
        return bytearray(10**17)
    if kind == "cuda":
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB\nand more")
    if kind == "chained":
        try:
            deeper_value = {}["lr"]
        except KeyError as error:
            raise ValueError("no lr") from error
        return deeper_value
    if kind == "import":
        import surely_not_installed.part  # noqa: F401
    if kind == "import-name":
        from json import surely_not_there  # noqa: F401
    if kind == "group":
        raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])
    if kind == "exit-3":
        raise SystemExit(3)
    if kind == "exit-text":
        raise SystemExit("the data are not there")
    if kind == "exit-0":
        raise SystemExit
    raise AssertionError(kind)
