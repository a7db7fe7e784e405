"""Whatever stands in a parameter space: a space or complaints, soon, and nothing is ever run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpo.errors import Complaints
from hpo.inputfile.spaces import read_space
from hpo.space import Space, from_json

PARTS = """
{ } [ ] ( ) , : = == ! # " ' /
\\ - + * ** ^ % if and or not in int( real( choice( vector( log step=0.1 n=5 default= x lr
transform= 1 0 2.5 1e999 -3 1e-5 nan Inf true null a b "x" 'y' “z” {"id":"a", {"x":1} {"parameters": {"a":[1,2]}
"samples":{"num":3} [{"name":"a","type":"int","lower":1,"upper":2}] param.set <- makeParamSet( makeNumericParam("a",
makeIntegerParam("b", makeDiscreteParam("c", lower=1, upper=2) values=c(1,2)) list( seq(0,1,by=0.1) trafo=function(x)
2^x requires=quote(a==1) 1:1e9 5L 0x10 TRUE NULL r"(x)" %in% %% & && | $(touch x) __import__('os') 9**9**9
"""
#: Seconds of a slow processor. What grows with the square of the length would take hours.
LONGEST = 60
WORDS = st.sampled_from([*PARTS.split(), *["\n"] * 8])


def read(body: bytes, workflow: str = "grid", name: str = "x.in") -> tuple[Space | None, Complaints]:
    complaints = Complaints()
    return read_space(body, Path(name), 1, workflow, complaints), complaints


def check(body: bytes, workflow: str, name: str) -> None:
    """A space that can be used, or complaints that say where."""
    space, complaints = read(body, workflow, name)
    assert (space is None) == bool(complaints.errors)
    lines = body.count(b"\n") + body.count(b"\r") + 1
    assert all(1 <= (each.line or 0) <= lines and each.message for each in complaints.errors)
    if space is not None:
        assert space.size() is None or workflow != "grid" or json.dumps(space.point(0), allow_nan=False)
        assert (
            from_json(json.loads(json.dumps(space.to_json(), allow_nan=False)), getattr(space, "data", None)) == space
        )


NAMES = st.sampled_from(["x.in", "x.R", "x.json"])
WORKFLOWS = st.sampled_from(["grid", "bayesian"])


@given(st.binary(max_size=200), WORKFLOWS, NAMES)
@settings(deadline=None, max_examples=300)
@example(b"\xff\xfe", "grid", "x.R")
@example(b"a = 1\x00", "grid", "x.in")
def test_any_bytes(body: bytes, workflow: str, name: str) -> None:
    check(body, workflow, name)


@given(st.lists(WORDS, max_size=25), WORKFLOWS, NAMES)
@settings(deadline=None, max_examples=1000)
def test_any_mixture_of_what_the_forms_are_made_of(words: list[str], workflow: str, name: str) -> None:
    check(" ".join(words).encode(), workflow, name)


@pytest.mark.parametrize(
    "body",
    [
        b"a = " + b"[" * 10_000,
        b"a = " + b"[" * 10_000 + b"1" + b"]" * 10_000,
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"parameters": {"a": ' + b"[" * 100_000,
        b"makeNumericParam(" * 10_000,
        b'makeNumericParam("a", 0, ' + b"(" * 10_000 + b"1" + b")" * 10_000 + b")",
        b'makeNumericParam("a", 0, ' + b"-" * 10_000 + b"1)",
        b'makeNumericParam("a", 0, 1, trafo = function(x) ' + b"{" * 10_000,
        b'makeNumericParam("a", 0, 1, trafo = function(x) x' + b" + x" * 10_000 + b")",
        b'makeNumericParam("a", 0, 1, trafo = function(x) {' + b"x <- x + x\n" * 200 + b"x})",
        b"a <- b\nb <- a\nmakeNumericParam('x', 0, a)",
        b"makeDiscreteParam('x', values = 1:1e12)",
        b"makeDiscreteParam('x', values = seq(0, 1, by = 1e-12))",
        b"makeDiscreteParam('x', values = rep(1, 1e12))",
        b"makeDiscreteParam('x', values = 2^10^10)",
        b"makeNumericVectorParam('x', len = 1e12, lower = 0, upper = 1)",
        b"makeParamSet(" * 3000 + b"x" * 100,
        b"a = 1 if " + b"(" * 5000 + b"a" + b")" * 5000,
        b"a = 1\nb = 1 if " + b"not " * 5000 + b"a",
        b"a = int(1, 2, transform=" + b"x**" * 3000 + b"x)",
        b"a = int(1, 2, transform=9**9**9**9)\nb = real(0, 1, n=1000000000)",
        b"a = vector(999999999, int(1, 2))",
        b"a = int(1, " + b"9" * 5000 + b")",
        b"a = int(1, " + b"9" * 3000 + b")",
        b"a = real(1, " + b"9" * 3000 + b")",
        b"a = int(1, 10, step=1e9)",
        b"a = '" + b"x" * 10_000_000 + b"'",
        b"a = " + b"x" * 10_000_000,
        b"a = [" + b"1," * 5_000_000 + b"1]",
        b"a=" * 5_000_000,
        b"a = [" + b"1, " * 200_000 + b"]",
        b'{"a": "' + b"x" * 10_000_000 + b'"}',
        b'{"a": ' + b"9" * 10_000 + b"}",
        b"makeNumericParam('" + b"x" * 10_000_000,
        b"\n" * 1_000_000 + b"a = 1",
        b"a = int(1, 3)\n" + b"".join(b"p%d = int(1, 3) if a > 1\n" % i for i in range(2000)),
        b"p0 = int(1, 3)\n" + b"".join(b"p%d = int(1, 3) if p%d > 1\n" % (i + 1, i) for i in range(2000)),
    ],
    ids=lambda body: body[:30].decode() + f"... {len(body)}",
)
def test_bombs_end_soon(body: bytes) -> None:
    begin = time.process_time()
    space, complaints = read(body)
    assert (space is None) == bool(complaints.errors)
    assert all(len(each.message) < 2000 for each in complaints.errors)
    assert time.process_time() - begin < LONGEST  # less than a second on a fast machine


@pytest.mark.parametrize(
    "command", ["system('touch x')", "__import__('os').system('touch x')", "$(touch x)", "open('x', 'w')"]
)
def test_nothing_is_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for body in (
        f"a = {command}",
        f"a = int(1, 2, transform={command})",
        f"a = 1\nb = 1 if {command}",
        f"x <- {command}\nmakeNumericParam('a', 0, x)",
        f"makeNumericParam('a', 0, 1, trafo = function(x) {command})",
        f"makeNumericParam('a', 0, 1, requires = quote({command}))",
    ):
        read(body.encode())
    assert list(tmp_path.iterdir()) == []


ROWS = """
import time
from pathlib import Path
from hpo.errors import Complaints
from hpo.inputfile.spaces import read_space

row = '{{"id": "hpset_{0:05d}", "lr": {1}, "epochs": {0}, "dense": "1000 500", "activation": "relu", "drop": 0.25}}'
body = "\\n".join(row.format(number + 1, number * 1e-9) for number in range(150_000)).encode()
complaints = Complaints()
begin = time.process_time()
space = read_space(body, Path("x.in"), 1, "grid", complaints)
print(time.process_time() - begin)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
print(complaints.errors, space.size(), space.trial_id(149_999), space.point(149_999)["epochs"])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="optional: measures memory as Linux tells it")
def test_150_000_rows() -> None:
    """Read and checked in three seconds on a fast machine, and in 300 MB."""
    done = subprocess.run([sys.executable, "-c", ROWS], capture_output=True, text=True, check=True)
    seconds, kilobytes, found = done.stdout.splitlines()
    assert found == "[] 150000 hpset_150000 150000"
    assert float(seconds) < LONGEST
    assert int(kilobytes) < 300_000
