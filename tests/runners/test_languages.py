"""R, bash, other programs, other interpreters: what they see, what they may leave, how they fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from runner_support import SCRIPTS, Bench

from hpo.runners.command import command_errors, filled, pattern_errors
from hpo.trial import Attempt, Failure, Result

needs_r = pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")

SAME: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "function": ("function.py", "python", "run", {}),
    "without isolation": ("function.py", "python", "run", {"isolation": "none"}),
    "canonical": ("canonical.py", "python", "canonical", {}),
    "plain": ("plain.py", "python", "plain", {}),
    "history": ("keras_style.py", "python", "plain", {}),
    "R": ("model.R", "rscript", "", {}),
    "bash": ("model.sh", "bash", "", {}),
    "executable": ("executable", "command", "", {}),
    "command": (
        "program.py",
        "command",
        "",
        {
            "command": f"{sys.executable} {SCRIPTS}/same/program.py --x {{x}} --offset={{offset}} "
            "--name {name} {id}",
            "result_pattern": r"^loss = (\S+)$",
        },
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_model_gives_the_same_table_in_every_form_and_language(bench: Bench, name: str) -> None:
    if name == "R" and shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    file, runner, form, settings = SAME[name]
    script = bench.script(f"same/{file}", form=form, runner=runner)
    table = []
    for number, x in enumerate([0.0, 0.3, 1e-5, 2.5], start=1):
        params = {"id": f"hpset_{number:05}", "x": x, "offset": 0.25, "name": "naïve $(touch x) 'quoted'"}
        result = run_with_params_file(bench, script, params, **settings)
        table.append(result.value)
        assert result.failure is None or "no data" in bench.output
    expected = [(x - 0.1) ** 2 + 0.25 for x in (0.0, 0.3, 1e-5, 2.5)]
    assert table.pop(2) is None  # hpset_00003 fails
    assert table == pytest.approx([expected[n] for n in (0, 1, 3)], rel=1e-15)
    assert "naïve $(touch x) 'quoted'\n" in bench.output


def run_with_params_file(bench: Bench, script: Any, params: dict[str, Any], **settings: Any) -> Result:
    """Run with `params.json` in the attempt's folder, as a worker writes it."""
    attempt: Attempt = bench.new_attempt(params)
    (attempt.folder / "params.json").write_text(json.dumps(params))
    bench.attempt = attempt
    result: Result = bench.runner(script, **settings).run(attempt, bench.watch)
    return result


def sentence(result: Result) -> str:
    assert isinstance(result.failure, Failure), result
    return result.failure.sentence


# -- R ---------------------------------------------------------------------------------------------------------------


@needs_r
@pytest.mark.parametrize(
    ("kind", "value"),
    [("float", 0.1), ("integer", 7.0), ("named", 0.25), ("list", 0.25), ("tiny", 1e-300)],
)
def test_what_r_may_leave(shared_bench: Bench, kind: str, value: float) -> None:
    result = shared_bench.run(shared_bench.script("r/returns.R", runner="rscript", form=""), params={"kind": kind})
    assert result.value == value
    assert kind != "list" or result.metrics == {"acc": 0.5, "name": 'a "b"\\'}


@needs_r
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("string", "the value is 0.5, not"),
        ("vector", "the value is [1, 2] (list), not a number"),
        ("logical", "the value is True (bool), not a number"),
        ("nan", "the value is nan, not a finite number"),
        ("na", "the value is nan, not a finite number"),
        ("inf", "the value is -inf, not a finite number"),
        ("model", "the value is 'an object of class function' (str), not a number"),
    ],
)
def test_what_r_may_not_leave(shared_bench: Bench, kind: str, expected: str) -> None:
    result = shared_bench.run(shared_bench.script("r/returns.R", runner="rscript", form=""), params={"kind": kind})
    if kind == "string":
        expected = "the value is '0.5' (str), not a number"
    assert sentence(result) == expected


@needs_r
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("stop", 'the script raised simpleError: learning rate too "high" ({}:3 in deeper)'),
        ("object", "the script raised simpleError: object 'surely_not_there' not found ({}:13)"),
        ("library", "the script could not import the R package surelyNotInstalled ({}:10)"),
        ("quit-3", "the script ended with exit code 3"),
        ("abort", "the trial was killed from outside (SIGKILL)"),
        ("nothing", "the script ended without a value: it set neither candle_value_to_return nor val_to_return"),
    ],
)
def test_how_r_may_fail(shared_bench: Bench, kind: str, expected: str) -> None:
    result = shared_bench.run(shared_bench.script("r/fails.R", runner="rscript", form=""), params={"kind": kind})
    assert sentence(result) == expected.format(SCRIPTS / "r/fails.R")


@needs_r
def test_quit_after_the_value_was_set_is_a_success(shared_bench: Bench) -> None:
    script = shared_bench.script("r/fails.R", runner="rscript", form="")
    assert shared_bench.run(script, params={"kind": "quit-after"}).value == 1.5
    assert shared_bench.run(script, params={"kind": "warns"}).value == 1.5
    assert shared_bench.output.endswith(" careful\n[1] 1.5\n")


@needs_r
def test_a_syntax_error_in_r_names_its_line(bench: Bench) -> None:
    result = bench.run(bench.script("r/syntax.R", runner="rscript", form=""))
    assert sentence(result).endswith(f"({SCRIPTS / 'r/syntax.R'}:3)")


@needs_r
def test_what_r_sees(bench: Bench, tmp_path: Path) -> None:
    script = bench.script("r/sees.R", runner="rscript", form="")
    library = tmp_path / "library"
    library.mkdir()
    params = {"list": [1, 2.5], "text": 'naïve "q" \\ $x', "nested": {"a": 1}}
    settings = {"extra_script_args": "--verbose 'a b'", "supp_r_libs": str(library)}
    first, second = (bench.run(script, params=params, **settings) for _ in range(2))
    assert bench.attempt is not None
    assert first.metrics["args"] == ["--verbose", "a b"]
    assert first.metrics["list"] == [1, 2.5]
    assert (first.metrics["text"], first.metrics["nested"]) == (params["text"], 1)
    assert second.metrics["cwd"] == str(bench.attempt.folder)
    assert second.metrics["trial"] == bench.attempt.id
    assert first.metrics["draw"] == second.metrics["draw"]
    assert first.metrics["lib"] == str(library)


@needs_r
def test_r_that_is_not_there_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = bench.run(bench.script("r/sees.R", runner="rscript", form=""))
    assert "Rscript is not on PATH" in sentence(result)


# -- bash ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "output"),
    [
        ("number", -1.5e-3, ""),
        ("old-name", 2.0, ""),
        ("exit-0-after", 3.0, ""),
        ("own-trap", 4.0, "tidied\n"),
        ("failing-line", 6.0, ""),
        ("unknown", 7.0, "candle_get_param: there is no parameter named surely_not_there\n"),
        ("child", 0.1, ""),
        ("daemon", 8.0, ""),
        ("where", 9.0, f"{SCRIPTS}/sh/returns.sh one a b\n"),
        ("text-param", 10.0, "it's $HOME `x` \\ *\n[1, 2]\ntrue\n"),
    ],
)
def test_what_bash_may_do(shared_bench: Bench, kind: str, value: float, output: str) -> None:
    script = shared_bench.script("sh/returns.sh", runner="bash", form="")
    params = {"kind": kind, "number": 0.1, "text": "it's $HOME `x` \\ *", "list": [1, 2], "flag": True}
    result = shared_bench.run(script, params=params, extra_script_args="one 'a b'")
    assert result.value == value
    assert shared_bench.output == output


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("nothing", "the script ended without a value: it set neither candle_value_to_return nor val_to_return"),
        ("text", "the value is 'low' (str), not a number"),
        ("nan", "the value is nan, not a finite number"),
        ("exit-3-after", "the script ended with exit code 3"),
        ("killed", "the trial was killed from outside (SIGKILL)"),
        ("unset", "the script ended with exit code 127"),
    ],
)
def test_how_bash_may_fail(shared_bench: Bench, kind: str, expected: str) -> None:
    script = shared_bench.script("sh/returns.sh", runner="bash", form="")
    assert sentence(shared_bench.run(script, params={"kind": kind})) == expected


def test_reports_from_a_shell_arrive(bench: Bench) -> None:
    bench.run(bench.script("sh/returns.sh", runner="bash", form=""), params={"kind": "reports"})
    assert bench.watch.reports == [(1, 0.1), (2, 0.2), (3, 0.3)]


# -- other programs --------------------------------------------------------------------------------------------------


def command(bench: Bench, text: str, **settings: Any) -> Result:
    script = bench.script("same/executable", runner="command", form="")
    return bench.run(script, params={"lr": 1e-5, "words": "a b; $(c)"}, command=text, **settings)


@pytest.mark.parametrize(
    ("printed", "value", "metrics"),
    [
        ("IMPROVE_RESULT val_loss:\\t0.0123\\n", 0.0123, {}),
        ("IMPROVE_RESULT val_loss:\\t9\\nIMPROVE_RESULT val_loss:\\t1.5E-07\\n", 1.5e-7, {}),
        ("IMPROVE_RESULT val_loss: 1\\nIMPROVE_RESULT pcc: .5\\nother\\n", 1.0, {"pcc": 0.5}),
        ("\\0\\377IMPROVE_RESULT val_loss:  -2.\\n", -2.0, {}),
    ],
)
def test_results_that_are_printed(bench: Bench, printed: str, value: float, metrics: dict[str, float]) -> None:
    result = command(bench, f"printf '{printed}'".replace("\\", "\\"))
    assert (result.value, result.metrics) == (value, metrics)


def test_a_result_may_be_written_to_a_file_instead(bench: Bench) -> None:
    result = command(bench, """sh -c 'echo "{\\"val_loss\\": 0.5, \\"n\\": 3}" > "$HPO_RESULT_FILE"'""")
    assert (result.value, result.metrics) == (0.5, {"n": 3})


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("true", {}, "the script ended without a value: it printed no 'IMPROVE_RESULT NAME: NUMBER' and wrote nothing "
         "to HPO_RESULT_FILE"),
        ("echo IMPROVE_RESULT pcc: 1", {}, "the script returned no 'val_loss', but 'pcc'"),
        ("echo IMPROVE_RESULT val_loss: nan", {}, "the value is nan, not a finite number"),
        ("echo loss low", {"result_pattern": "loss (\\w+)"}, "the value is 'low' (str), not a number"),
        ("sh -c 'echo IMPROVE_RESULT val_loss: 1; exit 5'", {}, "the script ended with exit code 5"),
        ("surely-not-installed {lr}", {}, "the script's interpreter could not be started: surely-not-installed: No "
         "such file or directory"),
    ],
)  # fmt: skip
def test_how_a_command_may_fail(bench: Bench, text: str, settings: dict[str, Any], expected: str) -> None:
    assert sentence(command(bench, text, **settings)) == expected


def test_a_value_stays_within_its_word() -> None:
    params = {"lr": 1e-5, "words": "a b; $(c)", "flag": True, "none": None, "list": [1, "x"]}
    text = "prog --lr {lr} '--words={words}' {{lr}} {flag}{none} {list}"
    assert filled(text, params) == ["prog", "--lr", "1e-05", "--words=a b; $(c)", "{lr}", "truenull", '[1, "x"]']


def test_mistakes_in_command_and_pattern_are_found_before_anything_starts() -> None:
    assert command_errors("prog --lr {lr} {batch_size}", ["lr", "batch_size"]) == []
    assert command_errors("prog {btach_size} {lr}", ["lr", "batch_size"]) == [
        "command has {btach_size}, which is no parameter. Did you mean 'batch_size'?"
    ]
    assert command_errors("prog 'open", []) == ["command cannot be split into words: no closing quotation"]
    assert command_errors(" ", []) == ["command is empty"]
    assert pattern_errors("loss = (.*)") == []
    assert pattern_errors("loss = .*") == [
        "result_pattern needs a group around the number, as in 'loss = ([0-9.e+-]+)'"
    ]
    assert "no regular expression" in pattern_errors("loss = (")[0]


# -- other interpreters, and modules ---------------------------------------------------------------------------------


def other_pythons() -> list[str]:
    """Pythons of this machine that do not have our package, the oldest first."""
    folders = [*Path.home().glob(".pyenv/versions/3*/bin"), Path("/usr/bin"), Path("/usr/local/bin")]
    found: dict[tuple[int, ...], str] = {}
    for python in (folder / "python3" for folder in folders):
        probe = "import importlib.util as u, sys; print(*sys.version_info[:2], u.find_spec('hpo') is None)"
        told = (
            subprocess.run([python, "-I", "-c", probe], capture_output=True, text=True, check=False)
            if python.exists()
            else None
        )
        if told is not None and told.returncode == 0 and told.stdout.split()[2] == "True":
            *version, _ = told.stdout.split()
            found.setdefault(tuple(map(int, version)), str(python))
    return [found[version] for version in sorted(found) if version >= (3, 6)]


OTHER = other_pythons()


@pytest.mark.skipif(not OTHER, reason="optional: no other Python is installed")
@pytest.mark.parametrize("python", OTHER)
@pytest.mark.parametrize(
    ("file", "form", "value"),
    [("square.py", "run", 9.0), ("square_plain.py", "plain", 9.0), ("square_canonical.py", "canonical", 10.0)],
)
def test_another_interpreter_needs_nothing_of_ours(
    bench: Bench, python: str, file: str, form: str, value: float
) -> None:
    for _ in range(2):
        result = bench.run(file, form, {"x": 3}, python_bin_path=python)
        assert (result.value, result.failure, result.notes) == (value, None, ())


@pytest.mark.skipif(not OTHER, reason="optional: no other Python is installed")
@pytest.mark.parametrize("python", OTHER)
def test_another_interpreter_s_failures_are_told_alike(bench: Bench, python: str) -> None:
    result = bench.run("raises.py", params={"kind": "chained"}, python_bin_path=python)
    assert sentence(result).startswith("the script raised ValueError: no lr (")
    assert bench.output.count("Traceback") == 2
    assert "bootstrap.py" not in bench.output


def test_a_virtual_environment_is_one_by_each_of_its_names(bench: Bench, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (next((tmp_path / "venv/lib").iterdir()) / "site-packages/only_there.py").write_text("X = 7.0\n")
    script = tmp_path / "uses.py"
    script.write_text(
        "import os, only_there\ndef run(p):\n    print(os.environ['VIRTUAL_ENV'])\n    return only_there.X\n"
    )
    for name in ("venv", "venv/bin", "venv/bin/python3"):
        result = bench.run(bench.script(script, preload=("only_there",)), python_bin_path=str(tmp_path / name))
        assert result.value == 7.0
        assert bench.output == f"{tmp_path}/venv\n"


def test_an_interpreter_that_is_not_there_is_named(bench: Bench, tmp_path: Path) -> None:
    result = bench.run("square.py", python_bin_path=str(tmp_path / "none"))
    assert sentence(result) == (
        f"the script's interpreter could not be started: there is no Python at python_bin_path = {tmp_path}/none"
    )


def test_an_interpreter_that_does_not_start_says_why(bench: Bench, tmp_path: Path) -> None:
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\necho 'libpython3.9.so: cannot open shared object file' >&2\nexit 127\n")
    broken.chmod(0o755)
    result = bench.run("square.py", python_bin_path=str(broken))
    assert sentence(result) == (
        f"the script's interpreter could not be started: {broken}: libpython3.9.so: cannot open shared object file"
    )


MODULES = "/usr/share/modules/init/bash"
needs_modules = pytest.mark.skipif(not Path(MODULES).exists(), reason="environment-modules is not installed")


@pytest.fixture
def modulefiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules: `site/1.0` sets a variable, `tool` puts a folder on PATH, `gone` takes a variable away."""
    folder = tmp_path / "modulefiles"
    (folder / "site").mkdir(parents=True)
    (folder / "site/1.0").write_text("#%Module1.0\nsetenv SITE_VALUE {a b; $x}\n")
    (folder / "tool").write_text(f"#%Module1.0\nprepend-path PATH {tmp_path}/tools\n")
    (folder / "gone").write_text("#%Module1.0\nunsetenv TAKEN_AWAY\n")
    monkeypatch.setenv("MODULEPATH", str(folder))
    monkeypatch.setenv("TAKEN_AWAY", "still here")
    return folder


@needs_modules
@pytest.mark.parametrize("runner", ["python", "bash", "rscript"])
def test_every_module_is_loaded_in_every_language(bench: Bench, modulefiles: Path, tmp_path: Path, runner: str) -> None:
    texts = {
        "python": "import os\ndef run(p):\n    print(os.environ['SITE_VALUE'], os.environ.get('TAKEN_AWAY', 'gone'))\n"
        "    os.system('tool')\n    return 1.0\n",
        "bash": 'echo "$SITE_VALUE ${TAKEN_AWAY-gone}"; tool; val_to_return=1\n',
        "rscript": "cat(Sys.getenv('SITE_VALUE'), Sys.getenv('TAKEN_AWAY', 'gone'), fill=TRUE)\n"
        "invisible(system('tool'))\nval_to_return <- 1\n",
    }
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/tool").write_text("#!/bin/sh\necho the tool\n")
    (tmp_path / "tools/tool").chmod(0o755)
    script = tmp_path / "model"
    script.write_text(texts[runner])
    result = bench.run(bench.script(script, runner=runner), supp_modules=["site/1.0", "tool", "gone"])
    assert result.value == 1.0, result
    assert bench.output == "a b; $x gone\nthe tool\n"


@needs_modules
def test_a_module_that_is_not_there_is_named(bench: Bench, modulefiles: Path) -> None:
    result = bench.run("square.py", supp_modules="site/1.0 surely/2.0; touch x")
    assert "the module 'surely/2.0;' cannot be loaded: ERROR: Unable to locate" in sentence(result)


@needs_modules
def test_a_module_may_bring_the_interpreter(bench: Bench, modulefiles: Path, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    os.symlink(sys.executable, tmp_path / "tools/python3")
    assert bench.run("square.py", params={"x": 2}, exec_python_module="tool").value == 4.0
