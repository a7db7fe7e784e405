"""What is known of a model script before it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo.errors import Complaints
from hpo.script import Analysis, Script, analyse
from hpo.script.modules import MAX_MODULES


@pytest.fixture
def study(tmp_path):
    """Return a function that writes a script (and modules beside it) and analyses it without any complaint."""

    def run(text: str, name: str = "model.py", **files: str) -> Analysis:
        complaints = Complaints()
        found = analyse(write(tmp_path, text, name, **files), complaints)
        assert complaints.errors == [] == complaints.warnings
        return found

    return run


@pytest.fixture
def complaints_of(tmp_path):
    """Return a function that analyses a script and returns (errors, warnings) as texts without the folder's name."""

    def run(text: str, name: str = "model.py", **keywords) -> tuple[list[str], list[str]]:
        complaints = Complaints()
        analyse(write(tmp_path, text, name), complaints, **keywords)
        shorten = [[str(c).replace(f"{tmp_path}/", "") for c in cs] for cs in (complaints.errors, complaints.warnings)]
        return shorten[0], shorten[1]

    return run


def write(folder: Path, text: str, name: str = "model.py", **files: str) -> Path:
    for key, content in files.items():
        file = folder / f"{key}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(content))
    path = folder / name
    path.write_text(dedent(text))
    return path


def definite(analysis: Analysis) -> list[str]:
    return [read.name for read in analysis.reads.names if read.definite]


def possible(analysis: Analysis) -> list[str]:
    return [read.name for read in analysis.reads.names if not read.definite]


# ---- the form

PYTORCH_EXAMPLE = """
    from __future__ import print_function
    import argparse
    import torch
    import torch.utils.data
    from torch import nn, optim

    parser = argparse.ArgumentParser(description='VAE MNIST Example')
    parser.add_argument('--batch-size', type=int, default=128, metavar='N')
    parser.add_argument('--epochs', type=int, default=10, metavar='N')
    args = parser.parse_args()
    args.batch_size = hyperparams['batch_size']
    args.epochs = hyperparams['epochs']
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def test(epoch):
        return 105.6

    if __name__ == "__main__":
        for epoch in range(1, args.epochs + 1):
            val_to_return = test(epoch)
"""


def test_the_pytorch_example_as_the_exercise_has_it_edited(study):
    found = study(PYTORCH_EXAMPLE)
    assert found.script.form == "plain"
    assert definite(found) == ["batch_size", "epochs"]
    assert not found.reads.everything


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("run", "def run(hyperparams):\n    return hyperparams['x']"),
        ("run", "from helper import run"),
        ("run", "def main(p): return 1.0\nrun = main"),
        ("run", "run = lambda hyperparams: 3.0"),
        ("run", "if True:\n    def run(p): return 1.0\nelse:\n    def run(p): return 2.0"),
        ("run", "class Trainer: pass\ndef run(hyperparams, *, verbose=False): return 1.0"),
        # its own dictionary of that name, to try `run` by hand
        (
            "run",
            "def run(p):\n    return p\nif __name__ == '__main__':\n    hyperparams = {'x': 1}\n    run(hyperparams)",
        ),
        (
            "run",
            "def run(p):\n    global hyperparams\n    hyperparams = p\n    return f()\ndef f(): return hyperparams",
        ),
        (
            "run",
            "import sys\ndef run(p): return 1.0\n"
            "if sys.argv[1:]:\n    hyperparams = {}\nelif 3:\n    hyperparams = {1: 2}\nelse:\n    hyperparams = {}\n"
            "run(hyperparams)",
        ),
        ("run", "def run(p):\n    globals()['hyperparams'] = p\n    return 1.0"),
        ("run", "def run(p): return 1.0\nwith open('x') as f:\n    hyperparams = f\nrun(hyperparams)"),
        ("run", "from settings import hyperparams\ndef run(p): return {**hyperparams, **p}"),
        ("run", "hyperparams = {'x': 1}\ndef run(params):\n    return {**hyperparams, **params}['x']"),
        ("run", "def run(p):\n    hyperparams = p\n    return hyperparams['x']"),
        (
            "canonical",
            "def initialize_parameters(default_model='x.txt'): return {}\ndef run(params): return params['x']",
        ),
        ("plain", "candle_value_to_return = candle_params['x']"),
        ("plain", "history = fit(hyperparams['epochs'])\ndef fit(n): return n"),
        ("plain", "def main():\n    return hyperparams['x']\nval_to_return = main()"),
        ("plain", "def main():\n    global val_to_return\n    val_to_return = hyperparams['x']\nmain()"),
        # a function that happens to be called run
        ("plain", "def run(n):\n    return n\nval_to_return = run(hyperparams['x'])"),
        ("plain", "hyperparams: dict\ndef run(n):\n    return n\nval_to_return = run(hyperparams['x'])"),
        ("plain", "if 0:\n    hyperparams = {}\ndef run(n): return n\nhistory = run(hyperparams['x'])"),
        ("plain", "if 0:\n    pass\nelse:\n    hyperparams = {}\ndef run(n): return n\nhistory = hyperparams['x']"),
        ("plain", "for hyperparams in []: pass\ndef run(n): return n\nhistory = hyperparams['x']"),
        ("plain", "run = 3\nval_to_return = hyperparams['x']"),
        (
            "plain",
            "try:\n    hyperparams\nexcept NameError:\n    hyperparams = {}\ndef run(n): return n\nhistory = run(3)",
        ),
        ("plain", "hyperparams = {\n    'x': 3,\n    **hyperparams}\nval_to_return = hyperparams['x']"),
        ("plain", "if 'hyperparams' not in globals():\n    hyperparams = {'x': 1}\nval_to_return = hyperparams['x']"),
        ("plain", "p = globals().get('candle_params', {'x': 1})\nval_to_return = p['x']"),
        ("plain", "hyperparams |= {'x': 1}\ndef run(n): return n\nval_to_return = hyperparams['x']"),
        ("plain", "val_to_return = sum([hyperparams['x'] for _ in range(3)])"),
        ("plain", "class Settings:\n    x = hyperparams['x']\nval_to_return = Settings.x"),
        ("plain", "from math import *\nx = hyperparams['x']\nhistory = sin(x)"),
        ("plain", "x = hyperparams['x']\nexec('val_to_return = x')"),
    ],
)
def test_the_form_of_a_script(study, form, text):
    assert study(text).script.form == form


def test_no_form_is_an_error_that_names_the_forms(complaints_of):
    errors, warnings = complaints_of("print('hello')")
    assert warnings == []
    assert len(errors) == 1
    assert errors[0].startswith("model.py: this is no model script: it defines no `run` and reads neither")
    for form in ("def run(hyperparams)", "initialize_parameters", "candle_params", "val_to_return", "history"):
        assert form in errors[0]


@pytest.mark.parametrize(
    ("text", "form", "warning"),
    [
        ("from benchmark import *", "run", "model.py:1: what this line brings cannot be seen"),
        ("exec(open('other.py').read())", "plain", "model.py:1: what this line brings cannot be seen"),
        (
            "x = 1\nhyperparams = {'x': 1}\nval_to_return = 2",
            "plain",
            "model.py:2: the script sets its own dictionary here",
        ),
        ("val_to_return = 2", "plain", "model.py: the script reads no hyperparameter"),
    ],
)
def test_a_script_that_may_work_is_not_refused(complaints_of, tmp_path, text, form, warning):
    errors, warnings = complaints_of(text)
    assert errors == []
    assert warnings[0].startswith(warning)
    assert analyse(tmp_path / "model.py", Complaints()).script.form == form


@pytest.mark.parametrize("signature", ["run()", "run(a, b)", "run(a, *, b)"])
def test_run_must_take_the_dictionary(complaints_of, signature):
    errors, _ = complaints_of(f"\ndef {signature}:\n    return 1.0")
    assert errors == ["model.py:2: `run` must take one argument, the dictionary of hyperparameters"]


@pytest.mark.parametrize("signature", ["run(a, b=1)", "run(*args)", "run(a, /, *, c=2)", "run(a, **more)"])
def test_run_may_take_more_if_it_need_not(study, signature):
    study(f"def {signature}:\n    return 1.0")


# ---- the value left behind


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("print(hyperparams['x'])", "model.py: the script sets neither"),
        ("def f():\n    val_to_return = hyperparams['x']\nf()", "model.py: the script sets neither"),
        ("def run(p):\n    print(p)", "model.py:1: `run` returns nothing"),
        ("def run(p):\n    def inner():\n        return 3\n    return None", "model.py:1: `run` returns nothing"),
    ],
)
def test_a_script_that_leaves_no_value_is_warned_about(complaints_of, text, warning):
    errors, warnings = complaints_of(text)
    assert errors == []
    assert [w[: len(warning)] for w in warnings] == [warning]


# ---- what is read, and how surely


@pytest.mark.parametrize(
    "text",
    [
        "val_to_return = hyperparams['x']",
        "val_to_return = candle_params['x'] * 2",
        "print(f\"{hyperparams['x']}\")\nhistory = 1",
        "if hyperparams['x'] > 3:\n    pass\nhistory = 1",
        "for epoch in range(hyperparams['x']):\n    pass\nhistory = 1",
        "if __name__ == '__main__':\n    history = hyperparams['x']",
        "history = [i for i in range(hyperparams['x'])]",
        "try:\n    history = hyperparams['x']\nfinally:\n    print('done')",
        "print(hyperparams)\nprint(len(hyperparams))\nhistory = hyperparams['x']",
        "def f(n=hyperparams['x']):\n    return n\nhistory = f()",
        "class C:\n    x = hyperparams['x']\nhistory = C",
        "import sys\nif len(sys.argv) > 9:\n    raise ValueError\nhistory = hyperparams['x']",
        "def run(p):\n    for key in p: print(key)\n    x = p['x']\n    return x",
        "def run(p):\n    if p['x'] > 3:\n        return 1.0\n    return 2.0",
    ],
)
def test_a_read_that_is_certain(study, text):
    assert definite(study(text)) == ["x"]


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    x = hyperparams['x']\nexcept KeyError:\n    x = 3\nhistory = x",
        "x = hyperparams['x'] if 'x' in hyperparams else 3\nhistory = x",
        "if 'x' in hyperparams:\n    history = hyperparams['x']\nelse:\n    history = 1",
        "if 'x' not in hyperparams:\n    print('no x')\n    history = 1\n    exit()\nhistory = hyperparams['x']",
        "x = hyperparams.get('x', 3)\nhistory = x",
        "x = 'x' in hyperparams and hyperparams['x']\nhistory = x",
        "def f():\n    return hyperparams['x']\nhistory = 1",
        "f = lambda: hyperparams['x']\nhistory = 1",
        "for i in range(0):\n    print(hyperparams['x'])\nhistory = 1",
        "while False:\n    hyperparams['x']\nhistory = 1",
        "history = [hyperparams['x'] for i in []]",
        "import sys\nif True:\n    history = 1\n    sys.exit(0)\nhyperparams['x']",
        "import sys\nhistory = 1\nsys.exit()\nhyperparams['x']",
        "import contextlib\nwith contextlib.suppress(KeyError):\n    hyperparams['x']\nhistory = 1",
        "hyperparams['x'] = 3\nhistory = hyperparams['x']",
        "hyperparams.update(x=3)\nhistory = hyperparams['x']",
        "hyperparams.setdefault('x', 3)\nhistory = hyperparams['x']",
        "hyperparams = {'x': 1, **hyperparams}\nhistory = hyperparams['x']",
        "hyperparams |= {'x': 1}\nhistory = hyperparams['x']",
        "p = hyperparams\np['x'] = 3\nhistory = hyperparams['x']",
        "def fill(p):\n    p['x'] = 3\nfill(hyperparams)\nhistory = hyperparams['x']",
        "import helper\nhelper.fill(hyperparams)\nhistory = hyperparams['x']",
        "import helper\nhelper.fill(params=hyperparams)\nhistory = hyperparams['x']",
        "print = setup\nprint(hyperparams)\nhistory = hyperparams['x']",
        "def fill():\n    hyperparams['x'] = 3\nfill()\nhistory = hyperparams['x']",
        "candle_params['x'] = 3\nhistory = hyperparams['x']",
        "d = [hyperparams]\nd[0]['x'] = 3\nhistory = hyperparams['x']",
        "globals()['hyperparams']['x'] = 3\nhistory = hyperparams['x']",
        "exec(\"hyperparams['x'] = 3\")\nhistory = hyperparams['x']",
        "from settings import *\nhistory = hyperparams['x']",
        "import sys\nsys.modules['__main__'].hyperparams['x'] = 3\nhistory = hyperparams['x']",
        "import __main__\n__main__.hyperparams['x'] = 3\nhistory = hyperparams['x']",
        "for k in ['x']:\n    if k not in hyperparams:\n        hyperparams[k] = 3\nhistory = hyperparams['x']",
        "del hyperparams['y']\nhistory = hyperparams['x']",
        "match 1:\n    case 2:\n        hyperparams['x']\nhistory = 1",
        "assert hyperparams['x']\nhistory = 1",
        "def run(p):\n    if True:\n        return 1.0\n    return p['x']",
        "def run(p):\n    p = {'x': 1, **p}\n    return p['x']",
        "def initialize_parameters(): return {'x': 3}\ndef run(params):\n    return params['x']",
        "import functools\ndef fill(f): return lambda p: f({'x': 1})\n@fill\ndef run(p):\n    return p['x']",
    ],
)
def test_a_read_that_is_not_certain(tmp_path, text):
    found = analyse(write(tmp_path, text), Complaints())
    assert found.script.form
    assert definite(found) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("params = hyperparams\nhistory = params['x']", ["x"]),
        ("def train(p, q):\n    return q['x'] + q.get('y', 2)\nhistory = train(1, hyperparams)", ["x", "y"]),
        ("def train(*, p):\n    return p['x']\nhistory = train(p=hyperparams)", ["x"]),
        (
            "def train(p):\n    return build(p)\ndef build(q):\n    return q['x']\ndef run(p):\n    return train(p)",
            ["x"],
        ),
        (
            "def f():\n    p = hyperparams\n    def inner():\n        return p['x']\n    return inner()\nhistory = f()",
            ["x"],
        ),
    ],
)
def test_the_dictionary_is_followed_through_the_script(study, text, names):
    found = study(text)
    assert possible(found) == names
    assert not found.reads.everything


SETTINGS = """
import dataclasses, helper
from helper import build
@dataclasses.dataclass
class S:
    x: int
    y: int = 2
"""


@pytest.mark.parametrize("call", ["build(S, hyperparams)", "helper.build(data_class=S, data=hyperparams)"])
def test_a_dataclass_that_is_filled_from_the_dictionary_lists_what_is_read(study, call):
    found = study(f"{SETTINGS}history = {call}", helper="def build(cls, data): ...")
    assert possible(found) == ["x", "y"]
    assert not found.reads.everything


@pytest.mark.parametrize(
    "text",
    [
        "history = build(S, 1, hyperparams)",
        "history = build(S)(hyperparams)",
        "def build(cls, p):\n    return cls(p)\nhistory = build(S, hyperparams)",
        "class C(S): pass\nhistory = build(C, hyperparams)",
        "S = 3\nhistory = build(S, hyperparams)",
    ],
)
def test_else_the_function_may_read_anything(study, text):
    assert study(SETTINGS + text, helper="def build(cls, data): ...").reads.everything


@pytest.mark.parametrize(
    "text",
    [
        "history = train(**hyperparams)",
        "for k, v in hyperparams.items():\n    print(k, v)\nhistory = 1",
        "from types import SimpleNamespace\nhistory = SimpleNamespace(**hyperparams)",
        "class T:\n    def __init__(self, p):\n        self.p = p\nhistory = T(hyperparams)",
        "k = 'x'\nhistory = hyperparams[k]",
        "from train import *\nhistory = hyperparams['x']",
        "def train(*args):\n    return args[0]['y']\nhistory = train(hyperparams)",
    ],
)
def test_where_the_dictionary_goes_out_of_sight_anything_may_be_read(study, text):
    assert study(text).reads.everything


def test_other_variables_of_the_same_name_are_not_the_dictionary(study):
    found = study(
        """
        def other(hyperparams):
            return hyperparams["not ours"]
        def local():
            candle_params = {"nor": 1}
            return candle_params["nor"]
        class C:
            hyperparams = {"neither": 1}
            x = hyperparams["neither"]
        table = [hyperparams["inner"] for hyperparams in [{"inner": 1}]]
        val_to_return = candle_params["ours"]
        """
    )
    assert [read.name for read in found.reads.names] == ["ours"]


def test_deep_nesting_in_a_working_script_is_no_matter(study):
    found = study("text = " + " + ".join(["'a'"] * 900) + "\nhistory = hyperparams['x']" + ".real" * 80)
    assert definite(found) == ["x"]


TOKENS = [
    *("hyperparams", "x", "=", "[", "]", "'x'", "def ", "run(", ")", ":", "if ", "in ", "return ", "for ", "*"),
    *("lambda ", ":=", "try:", "except:", "global ", "{", "}", "é", "\x00", "\n", "\n "),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(TOKENS)))
def test_any_text_is_read_or_refused(tmp_path_factory, tokens):
    path = tmp_path_factory.getbasetemp() / "any.py"
    path.write_text("".join(tokens))
    complaints = Complaints()
    found = analyse(path, complaints)
    assert found.script.form or complaints.errors


# ---- no script that works is refused

SIMPLE = [
    "x = hyperparams['NAME']",
    "x = hyperparams.get('NAME', 1)",
    "x = True or hyperparams['NAME']",
    "x = hyperparams['NAME'] if False else 1",
    "x = [hyperparams['NAME'] for _ in ()]",
    "x = lambda: hyperparams['NAME']",
    "x = {'b': 1}['NAME']",
    "hyperparams['NAME'] = 1",
    "hyperparams.setdefault('NAME', 1)",
    "hyperparams.update(NAME=1)",
    "hyperparams = {'b': 1, **hyperparams}",
    "hyperparams = dict(hyperparams, NAME=1)",
    "hyperparams |= {'NAME': 1}",
    "candle_params['NAME'] = 1",
    "p = hyperparams",
    "p['NAME'] = 1",
    "(p := hyperparams)['NAME'] = 1",
    "fill(hyperparams)",
    "fill(q=hyperparams)",
    "print = fill",
    "print(hyperparams)",
    "globals()['hyperparams']['NAME'] = 1",
    "function()",
    "raise SystemExit(0)",
    "sys.exit()",
    "raise KeyError('NAME')",
    "assert 'NAME' in hyperparams",
    "pass",
]
COMPOUND = [
    "if 'NAME' in hyperparams:",
    "if hyperparams.get('NAME') is None:",
    "if x:",
    "if __name__ == '__main__':",
    "for x in hyperparams:",
    "for x in range(2):",
    "while x is None:\n    x = 1",
    "with suppress(KeyError):",
    "def function():",
    "def function():\n    global hyperparams",
    "def fill(q):",
    "class C:",
    "try:",
]


@st.composite
def blocks(draw, depth: int = 3) -> list[str]:
    """Lines of statements that read, set and guard the names `a`, which is defined, and `b`, which is not."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from("ab"))
        if depth and draw(st.booleans()):
            head = draw(st.sampled_from(COMPOUND)).replace("NAME", name)
            lines += [*head.split("\n"), *(f"    {line}" for line in draw(blocks(depth - 1)))]
            if head == "try:":
                lines += ["except KeyError:", *(f"    {line}" for line in draw(blocks(depth - 1)))]
        else:
            lines.append(draw(st.sampled_from(SIMPLE)).replace("NAME", name))
    return lines


HEAD = """
import sys
from contextlib import suppress
x = None
hyperparams['a']
def fill(q): q['b'] = 1
def function(): pass
"""


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(blocks())
def test_what_a_working_script_reads_is_never_taken_for_a_mistake(tmp_path_factory, lines):
    """A script that runs to its end read nothing that is not there, whatever it looks like."""
    text = HEAD + "\n".join(lines)
    dictionary = {"a": 1}
    names = {"__name__": "__main__", "hyperparams": dictionary, "candle_params": dictionary}
    try:
        exec(text, names)
    except SystemExit:
        pass
    except Exception:
        return
    path = tmp_path_factory.getbasetemp() / "working.py"
    path.write_text(text)
    complaints = Complaints()
    found = analyse(path, complaints)
    assert (found.script.form, complaints.errors) == ("plain", [])
    assert set(definite(found)) <= {"a"}


# ---- syntax, and other interpreters


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x = (1,\nprint 'hello'", "model.py:1: this is not Python: '(' was never closed"),
        ("\n\nreturn 3", "model.py:3: this is not Python: 'return' outside function"),
        ("x = 1\0", "model.py: this is not Python: source code string cannot contain null bytes"),
    ],
)
def test_syntax_errors_have_their_line(complaints_of, text, error):
    assert complaints_of(text)[0] == [error]


def test_what_is_not_there(tmp_path):
    complaints = Complaints()
    analyse(tmp_path / "gone.py", complaints)
    analyse(tmp_path, complaints, runner="python")
    assert [c.message for c in complaints.errors] == [
        "the model script cannot be read: No such file or directory",
        "the model script cannot be read: Is a directory",
    ]


@pytest.fixture
def other_python(tmp_path):
    """An interpreter that is this one, as far as a script can see, but answers as told to."""

    def make(answer: str) -> Path:
        program = tmp_path / "python-of-old"
        program.write_text(f"#!/bin/sh\n{answer}\n")
        program.chmod(0o755)
        return program

    return make


def test_another_interpreter_judges_the_grammar(complaints_of, tmp_path):
    errors, warnings = complaints_of("history = hyperparams['x']", python=Path(sys.executable))
    assert (errors, warnings) == ([], [])
    assert analyse(tmp_path / "model.py", Complaints(), python=Path(sys.executable)).script.preload == ()


def test_a_script_that_only_the_other_interpreter_reads(complaints_of, other_python):
    errors, warnings = complaints_of("print 'hello'\nx = hyperparams['x']", python=other_python("echo null"))
    assert errors == []
    assert warnings == [
        "model.py: only its own interpreter can read the script: what it reads and leaves is not checked"
    ]


def test_a_script_that_only_this_interpreter_reads(complaints_of, other_python):
    python = other_python("""echo '["invalid syntax", 2]'""")
    errors, _ = complaints_of("history = hyperparams['x']", python=python)
    assert errors == [f"model.py:2: {python} cannot read it: invalid syntax".replace(f"{python.parent}/", "")]


def test_an_interpreter_that_does_not_start_is_not_the_fault_of_the_script(complaints_of, other_python):
    assert complaints_of("history = hyperparams['x']", python=other_python("exit 3")) == ([], [])


OLDEST = sorted(Path.home().glob(".pyenv/versions/3.[678].*/bin/python3"))


@pytest.mark.skipif(not OLDEST, reason="optional: needs a Python older than 3.9")
def test_a_real_old_interpreter(complaints_of):
    errors, _ = complaints_of("history = hyperparams['x']\nmatch 1:\n    case 1: pass", python=OLDEST[0])
    assert errors[0].startswith("model.py:2: ")
    assert errors[0].endswith("cannot read it: invalid syntax")


# ---- the modules imported ahead


@pytest.fixture
def ahead(study):
    return lambda text, **files: study(text + "\ndef run(p): return 1.0", **files).script.preload


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import json, csv", ("json", "csv")),
        ("import xml.dom.minidom as dom", ("xml.dom.minidom",)),
        ('"""What it is."""\nfrom __future__ import annotations\nimport json', ("json",)),
        ("from xml import dom, sax", ("xml", "xml.dom", "xml.sax")),
        ("from numpy import *", ("numpy",)),
        ("import json\nimport os\nos.environ['A'] = '1'\nimport numpy", ("json", "os")),
        ("import json\ntry:\n    import numpy\nexcept ImportError: pass", ("json",)),
        ("import no_such_module_anywhere\nimport json", ("json",)),
        ("from . import x\nimport json", ("json",)),
        ("import this, antigravity, mpi4py, json", ("json",)),
        ("from hpo import training", ("hpo", "hpo.training")),
        ("x = 1\nimport json", ()),
    ],
)
def test_preload_is_what_the_head_of_the_script_imports(ahead, text, names):
    assert ahead(text) == names


def test_preload_leaves_out_the_users_own_modules(ahead):
    assert ahead("import json\nimport mine, package.part\nimport numpy", **{"mine": "", "package/part": ""}) == (
        "json",
        "numpy",
    )


def test_a_module_beside_the_script_hides_an_installed_one(ahead):
    assert ahead("import json\nimport numpy", numpy="x = 1") == ("json",)


def test_a_folder_without_init_hides_nothing_installed(ahead):
    assert ahead("import numpy", **{"numpy/data": "x = 1"}) == ("numpy",)


@pytest.mark.parametrize("content", ["import os\nos.environ['BACKEND'] = 'a'", "print('hello')", "import deeper"])
def test_a_module_of_the_users_that_may_prepare_later_imports_ends_the_list(ahead, content):
    deeper = "import os\nX = os.environ.setdefault('A', 'b')"
    assert ahead("import json\nimport mine\nimport numpy", mine=content, deeper=deeper) == ("json",)


def test_nothing_is_imported_to_find_out(tmp_path):
    """Neither what the script imports nor its neighbours run in the process that reads it."""
    write(tmp_path, "import torch\nimport neighbour\ndef run(p): return 1.0", neighbour="raise SystemExit('ran')")
    code = (
        "import sys, pathlib; from hpo.script import analyse; from hpo.errors import Complaints;"
        "a = analyse(pathlib.Path(sys.argv[1]), Complaints()); assert 'torch' in a.script.preload;"
        "assert not {'torch', 'numpy', 'neighbour'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "model.py")], check=True)


# ---- the script's own files


def files_of(analysis: Analysis) -> list[str]:
    root = analysis.script.path.parent
    return sorted(str(file.relative_to(root)) for file in analysis.files)


def test_local_modules_are_found_through_all_kinds_of_imports(study):
    found = study(
        """
        import a, package.deep.leaf
        from b import x
        import json
        def run(p):
            from c import y
            import importlib
            importlib.import_module("d")
            return 1.0
        """,
        a="import e",
        b="from b2 import *",
        b2="",
        c="",
        d="__import__('f')",
        e="import a",
        f="def broken(:",
        json="",
        unused="",
        **{
            "package/__init__": "",
            "package/sibling": "",
            "package/deep/__init__": "from . import leaf\nfrom .. import sibling\nfrom ..sibling import z",
            "package/deep/leaf": "",
            "package/never_named": "",
            "package/data/not_a_package": "",
        },
    )
    beside = ["a.py", "b.py", "b2.py", "c.py", "d.py", "e.py", "f.py", "json.py", "model.py"]
    package = ["__init__", "deep/__init__", "deep/leaf", "never_named", "sibling"]
    assert files_of(found) == sorted(beside + [f"package/{name}.py" for name in package])


def test_a_package_without_init_gives_what_is_imported(study):
    assert files_of(study("import tools.one\ndef run(p): return 1.0", **{"tools/one": "", "tools/two": ""})) == [
        "model.py",
        "tools/one.py",
    ]


def test_modules_on_the_users_search_path_are_local(tmp_path):
    script = write(tmp_path, "import mine\ndef run(p): return 1.0", **{"library/mine": ""})
    found = analyse(script, Complaints(), search=[tmp_path / "library"])
    assert files_of(found) == ["library/mine.py", "model.py"]


def test_a_script_inside_a_package_does_not_take_the_whole_package(study, tmp_path):
    (tmp_path / "__init__.py").touch()
    assert files_of(study("import a\ndef run(p): return 1.0", a="", b="")) == ["a.py", "model.py"]


def test_a_huge_package_is_not_taken_whole(tmp_path):
    script = write(tmp_path, "import huge.m1\ndef run(p): return 1.0", **{"huge/__init__": "", "huge/m1": ""})
    for number in range(2, MAX_MODULES + 2):
        (tmp_path / "huge" / f"m{number}.py").touch()
    complaints = Complaints()
    found = analyse(script, complaints)
    assert files_of(found) == ["huge/__init__.py", "huge/m1.py", "model.py"]
    assert f"has more than {MAX_MODULES} modules" in complaints.warnings[0].message


# ---- other languages


def test_r(tmp_path):
    script = write(
        tmp_path,
        """
        # candle_params[["in a comment"]]
        lr <- candle_params[["lr"]]; n = hyperparams$epochs
        colour <- "#ff0000"; x <- candle_params[['batch size']]
        y <- candle_params$`odd name`
        candle_value_to_return <- lr * n
        """,
        "model.R",
    )
    found = analyse(script, complaints := Complaints())
    assert (found.script.runner, complaints.errors, complaints.warnings) == ("rscript", [], [])
    assert [(r.name, r.line) for r in found.reads.names] == [
        ("lr", 3),
        ("epochs", 3),
        ("batch size", 4),
        ("odd name", 5),
    ]
    assert not definite(found)
    assert not found.reads.everything


@pytest.mark.parametrize("use", ["names(candle_params)", "candle_params[[k]]", "p <- hyperparams"])
def test_r_that_reads_by_computed_names(study, use):
    assert study(f"x <- {use}\ncandle_value_to_return <- 1", "model.r").reads.everything


def test_bash(study):
    found = study(
        """
        # candle_get_param in_a_comment
        lr=$(candle_get_param lr); n="$(candle_get_param "epochs")"
        echo "candle#5" ${#lr} `candle_get_param 'size'`
        candle_value_to_return=$lr
        """,
        "model.sh",
    )
    assert found.script.runner == "bash"
    assert [(r.name, r.line) for r in found.reads.names] == [("lr", 3), ("epochs", 3), ("size", 4)]
    assert not found.reads.everything


def test_bash_that_reads_by_computed_names(study):
    assert study('candle_get_param "$k"\ncandle_value_to_return=1', "model.bash").reads.everything


@pytest.mark.parametrize("name", ["model.R", "model.sh"])
def test_no_value_left_behind_in_r_and_bash(complaints_of, name):
    assert complaints_of("x", name) == (
        [],
        [f"{name}: the script never names `candle_value_to_return`: it leaves no value"],
    )


def test_any_other_executable_is_a_command(tmp_path, complaints_of):
    errors, _ = complaints_of("#!/bin/sh", "model")
    assert errors[0].startswith("model: the suffix does not tell the language of the script")
    os.chmod(tmp_path / "model", 0o755)
    found = analyse(tmp_path / "model", complaints := Complaints())
    assert (found.script.runner, found.reads.everything, complaints.errors) == ("command", True, [])


def test_the_runner_keyword_wins_over_the_suffix(tmp_path):
    script = write(tmp_path, "def run(p): return p['x']", "model.txt")
    assert analyse(script, Complaints(), runner="python").script.form == "run"


# ---- JSON


def test_json_and_back(tmp_path):
    script = Script(Path("/home/me/m.py"), "python", "run", ("torch",), {})
    code = tmp_path / "X007" / "code"
    data = script.to_json({script.path: "m.py", Path("/home/me/a/b.py"): "a/b.py"})
    back = Script.from_json(data, code)
    assert back.snapshot == {script.path: code / "m.py", Path("/home/me/a/b.py"): code / "a/b.py"}
    assert (back.path, back.runner, back.form, back.preload) == (script.path, "python", "run", ("torch",))
