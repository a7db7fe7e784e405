"""`hpo check`: what an input file means, and every mistake that can be known before anything starts."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import support

from hpo import checks, shipped
from hpo.cli import main
from hpo.errors import InputError

SCRIPT = """
def run(hyperparams):
    return hyperparams["epochs"] * hyperparams["lr"]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a function that writes model.in and its script into an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def write(control="", defaults="epochs = 10", space="lr = [0.1, 0.2]", script=SCRIPT, name="model.py"):
        Path(name).write_text(dedent(script))
        given = "".join(f"  {line.strip()}\n" for line in control.splitlines())
        Path("model.in").write_text(
            f"&control\n  model_script = '{name}'\n  workflow = grid\n{given}/\n"
            f"&default_model\n{defaults}\n/\n&param_space\n{space}\n/\n"
        )

    return write


@pytest.fixture
def hpo(capsys):
    """Return a function that runs a command and returns (exit code, standard output, standard error)."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def document(hpo):
    """Return a function that returns what `hpo check model.in --json` prints."""

    def run(*overrides: str) -> dict:
        code, out, err = hpo("check", "model.in", *overrides, "--json")
        found = json.loads(out)
        assert err == ""
        assert code == (0 if found["ok"] else 2)
        return found

    return run


def messages(complaints: list[dict]) -> list[str]:
    places = ((Path(c["file"]).name if c["file"] else "", c["line"]) for c in complaints)
    texts = [f"{file}:{line}:" if line else f"{file}:" for file, line in places]
    return [f"{place} {c['message']}".lstrip(": ") for place, c in zip(texts, complaints, strict=True)]


# ---- what it means


def test_the_experiment_as_understood(project, hpo):
    project("nworkers = 2\nwalltime = 90\ntrial_timeout = 120", space="lr = [0.1, 0.2]\nepochs = [5, 20, 40]")
    code, out, err = hpo("check", "model.in", "seed=3")
    assert (code, err) == (0, "")
    assert (
        out.splitlines()
        == dedent(f"""\
        model.in: grid search, 6 trials, 2 at a time

        Control
          model_script   model.py  model.in:2
          workflow       grid      model.in:3
          nworkers       2         model.in:4
          walltime       01:30:00  model.in:5
          trial_timeout  00:02:00  model.in:6
          seed           3         command line

        Script
          {Path.cwd()}/model.py
          python: run(hyperparams)
          reads epochs, lr

        Parameters
          lr      categorical  0.1, 0.2
          epochs  categorical  5, 20, 40  default 10

        First trials
          hpset_00001  lr=0.1 epochs=5
          hpset_00002  lr=0.1 epochs=20
          hpset_00003  lr=0.1 epochs=40
          hpset_00004  lr=0.2 epochs=5
          hpset_00005  lr=0.2 epochs=20
          … and 1 more

        Cost
          3 times as long as one trial takes; `hpo run model.in` runs one
          at most 0.1 hours, since trial_timeout = 00:02:00
          130 epochs in all

        Notes
          model.in:5: walltime is for jobs of a scheduler; a local search ignores it
        """).splitlines()
    )


def test_the_json_document(project, document):
    project(
        "nworkers = 2\nwalltime = 90",
        space="lr = [0.1, 0.2]\nopt = ['adam', 'sgd']",
        script=SCRIPT + '    hyperparams["opt"]',
    )
    found = document("default_model.epochs=1")
    assert (found["ok"], found["errors"], found["warnings"]) == (True, [], [])
    assert (found["workflow"], found["sampler"], found["n_trials"]) == ("grid", "grid", 4)
    assert (found["control"]["nworkers"], found["control"]["walltime"]) == (2, "01:30:00")
    assert found["defaults"] == {"epochs": 1}
    assert [(p["name"], p["kind"], p["choices"]) for p in found["parameters"]] == [
        ("lr", "categorical", [0.1, 0.2]),
        ("opt", "categorical", ["adam", "sgd"]),
    ]
    assert found["trials"][2] == {"id": "hpset_00003", "lr": 0.2, "opt": "adam"}


def test_of_rows_the_names_that_vary_are_parameters(project, document):
    rows = '{"id": "a", "lr": 1, "k": 1, "opt": "x"}\n{"id": "b", "lr": 2, "k": 1}'
    project(space=rows)
    found = document()
    assert [(p["name"], p["kind"], p["choices"]) for p in found["parameters"]] == [
        ("lr", "categorical", [1, 2]),
        ("opt", "categorical", ["x"]),
    ]
    assert found["trials"] == [json.loads(row) for row in rows.splitlines()]


def test_choices_with_an_order_are_called_ordered(project, hpo, document):
    project(space="lr = choice(0.1, 0.2, ordered)")
    (row,) = document()["parameters"]
    assert (row["kind"], row["ordered"]) == ("categorical", True)
    assert "lr  ordered  0.1, 0.2" in hpo("check", "model.in")[1]


def test_at_most_a_thousand_trials_are_listed(project, document):
    project(space="\n".join(f'{{"lr": {n}}}' for n in range(1234)))
    found = document()
    assert (found["n_trials"], len(found["trials"])) == (1234, 1000)


def test_a_value_that_json_has_not_is_null(project, document):
    project(defaults="epochs = 10\nlimit = 1e999")
    assert document()["defaults"]["limit"] is None


def test_a_single_run(project, hpo, document):
    project("use_candle = 0", defaults="epochs = 10\nlr = 0.5")
    assert hpo("check", "model.in")[1].startswith("model.in: a single run of the defaults, here\n")
    assert document()["n_trials"] == 1


def test_it_runs_nothing_and_leaves_nothing(project, hpo):
    project(script="raise SystemExit('it ran')\ndef run(p):\n    return p['lr']")
    before = sorted(Path().rglob("*"))
    assert hpo("check", "model.in")[0] == 0
    assert sorted(Path().rglob("*")) == before


def test_the_canonical_form_is_the_same_experiment(project, hpo, document):
    project("nworkers = 2", space='{"lr": 0.1, "k": 1}\n{"lr": 0.2, "k": 2}')
    before = document("default_model.epochs=3")
    code, out, _ = hpo("check", "model.in", "default_model.epochs=3", "--canonical")
    Path("model.in").write_text(out)
    after = document()
    same = ("control", "defaults", "parameters", "trials", "n_trials")
    assert code == 0
    assert {key: after[key] for key in same} == {key: before[key] for key in same}


# ---- mistakes


def test_all_mistakes_at_once(project, hpo, document):
    project(
        "nworkesr = 2\nnthreads = many", script='def run(p):\n    return p["learning_rte"]', space="learning_rate = [1]"
    )
    code, out, err = hpo("check", "model.in")
    assert (code, out) == (2, "")
    assert sorted(line.replace(f"{Path.cwd()}/", "") for line in err.splitlines()) == [
        "model.in:4: unknown &control keyword 'nworkesr'. Did you mean 'nworkers'?",
        "model.in:5: nthreads must be a whole number, 1 or more, not 'many'",
        "model.py:2: the script reads 'learning_rte', which the input file does not define. "
        "Did you mean 'learning_rate'?",
    ]
    found = document()
    assert len(found["errors"]) == 3
    assert (found["n_trials"], found["trials"], found["parameters"]) == (None, [], [])


def test_a_file_that_is_not_there(hpo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("model.in").touch()
    code, out, err = hpo("check", "modle.in")
    assert (code, out) == (2, "")
    assert err == "modle.in: does not exist. Did you mean 'model.in'?\n"


def test_a_script_that_does_not_parse(project, document):
    project(script="def run(p):\nreturn 1")
    assert messages(document()["errors"])[0].startswith("model.py:2: this is not Python: expected an indented block")


def test_values_that_cannot_be_read_bring_no_complaints_of_names(project, document):
    project(defaults="epochs = = 3")
    assert all("the script reads" not in message for message in messages(document()["errors"]))


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        ('hyperparams["epohcs"]', "errors"),
        ('hyperparams["epochs"] if 0 else hyperparams["epohcs"]', "warnings"),
        ('hyperparams.get("epohcs", 3)', "warnings"),
        ('"epohcs" in hyperparams and hyperparams["epohcs"]', "warnings"),
        ('[hyperparams["epohcs"] for _ in range(0)] and 1', "warnings"),
    ],
)
def test_a_misspelt_name_is_an_error_only_where_it_must_fail(project, document, read, kind):
    project(script=f"print(hyperparams['lr'])\nval_to_return = {read}")
    found = document()
    expected = "model.py:2: the script reads 'epohcs', which the input file does not define. Did you mean 'epochs'?"
    assert messages(found[kind]) == [expected]
    assert found["ok"] == (kind == "warnings")


def test_names_with_values_of_their_own_in_the_script_share_a_warning(project, document):
    project(script='def run(p):\n    p.get("momentum", 0.9)\n    return p["lr"] * p["epochs"] * p.get("decay", 0)')
    assert messages(document()["warnings"]) == [
        "model.py:2: the script reads 'momentum', 'decay', which the input file does not define, "
        "and has its own values for them"
    ]


@pytest.mark.parametrize("name", [*checks.names.RESERVED])
def test_the_names_that_every_trial_has_are_defined(project, document, name):
    project(script=f'def run(p):\n    return p["lr"] * p["epochs"] + len(str(p["{name}"]))')
    assert (document()["errors"], document()["warnings"]) == ([], [])


def test_a_name_that_some_trials_lack(project, document):
    project(space='{"lr": 1, "size": 3}\n{"lr": 2}', script='def run(p):\n    return p["size"] * p["lr"]')
    assert messages(document()["warnings"]) == [
        "model.py:2: the script reads 'size', which has no default and is missing from the trial hpset_00002"
    ]
    assert document("default_model.size=1")["warnings"] == []


def test_a_single_run_has_no_value_for_what_only_the_search_varies(project, document):
    project()
    assert document()["ok"]
    assert messages(document("run_workflow=0")["errors"]) == [
        "model.py:3: the script reads 'lr', which has no default: give --trial ID, or default_model.lr=VALUE"
    ]


@pytest.mark.parametrize("executor", ["auto", "slurm"])
def test_hpo_run_is_checked_as_a_single_run(project, hpo, executor):
    project(f"executor = {executor}")
    code, out, err = hpo("run", "model.in")
    remedy = "the script reads 'lr', which has no default: give --trial ID, or default_model.lr=VALUE"
    assert (code, out, err) == (2, "", f"{Path.cwd()}/model.py:3: {remedy}\n")
    assert hpo("run", "model.in", "default_model.lr=0.5")[::2] == (0, "")
    assert Path("result.txt").read_text() == "5.0\n"
    assert hpo("run", "model.in", "--trial", "1")[::2] == (0, "")
    assert Path("result.txt").read_text() == "2.0\n"


def test_without_trials_that_are_known_no_trial_is_advised(project, hpo):
    project(space="lr = real(0, 1)")
    code, _, err = hpo("run", "model.in", "workflow=random", "n_trials=5")
    assert (code, err.endswith("which has no default: give default_model.lr=VALUE\n")) == (2, True)


def test_what_nobody_reads_is_a_note(project, document):
    project(defaults="epochs = 10\nunused = 3", space="lr = [0.1]\nfixed = 7", script=SCRIPT)
    found = document()
    assert (found["ok"], found["warnings"]) == (True, [])
    assert messages(found["notes"]) == [
        "the script does not read 'unused'.",
        "the script does not read 'fixed'.",
    ]


@pytest.mark.parametrize(
    "space", ["epochs = [5]\nlrr = [0.1, 0.2]", '{"epochs": 5, "lrr": 1}\n{"epochs": 5, "lrr": 2}']
)
def test_a_parameter_that_nobody_reads_is_a_warning(project, document, hpo, space):
    project(defaults="lr = 0.1", space=space)
    message = "the script never reads the parameter 'lrr', so all its values train the same model. Did you mean 'lr'?"
    assert messages(document()["warnings"]) == [f"model.in: {message}"]
    assert f"warning: model.in: {message}\n" in hpo("submit-job", "model.in", "--dry-run")[2]


def test_a_parameter_that_decides_on_others_need_not_be_read(project, document):
    space = "lr = [0.1]\nkind = ['a', 'b']\nepochs = [5, 6] if kind == 'a'"
    project(space=space)
    assert document()["warnings"] == []


@pytest.mark.parametrize(
    "script",
    [
        "import json\ndef run(p):\n    return json.load(open('params.json'))['lr']",
        "@decorated\ndef run(p):\n    return p['epochs']",
        "def run(p):\n    return other.fit(p)",
    ],
)
def test_what_may_be_read_elsewhere_is_no_warning(project, document, script):
    project(script=f"def decorated(f):\n    return f\n{script}")
    assert document()["warnings"] == []


def test_where_everything_may_be_read_there_is_no_such_note(project, document):
    project(defaults="unused = 3", script="def run(p):\n    return fit(**p)")
    assert document()["notes"] == []


@pytest.mark.parametrize(
    ("default", "values", "warned"),
    [
        ("64", "['64', '128']", True),
        ("'adam'", "[1, 2]", True),
        ("[1, 2]", "[1, 2]", True),
        ("64", "[64.5, 128]", True),
        ("True", "[0.5, 0.6]", True),
        ("64", "[64.0, 128]", False),
        ("0.5", "[1, 2]", False),
        ("0", "[0.1, 0.5]", False),
        ("None", "['a', 'b']", False),
        ("True", "[0, 1]", False),
        ("1", "[True, False]", False),
        ("(1, 2)", "[[1, 2], [3]]", False),
        ("'a'", "['b', 'c']", False),
    ],
)
def test_values_of_another_type_than_their_default(project, document, default, values, warned):
    project(
        defaults=f"epochs = 10\nx = {default}", space=f"lr = [1]\nx = {values}", script=SCRIPT + '    hyperparams["x"]'
    )
    found = document()
    assert found["errors"] == []
    assert [f"'x' is {default}" in m for m in messages(found["warnings"])] == ([True] if warned else [])


def test_texts_that_are_read_as_lists_are_named(project, document):
    project(space='{"lr": 1, "dense": "1000 500 50"}')
    assert "model.in: dense = '1000 500 50' reaches the model as the list [1000, 500, 50]" in messages(
        document()["notes"]
    )


# ---- interpreters, modules, folders


def test_an_interpreter_that_is_not_there(project, document):
    project("python_bin_path = /no/such/place")
    assert messages(document()["errors"]) == ["model.in:4: there is no Python at python_bin_path = /no/such/place"]


@pytest.mark.parametrize("place", [Path(sys.executable), Path(sys.executable).parent, Path(sys.executable).parents[1]])
def test_an_interpreter_is_named_by_itself_its_folder_or_its_environment(project, document, place):
    project(f"python_bin_path = {place}")
    assert document()["errors"] == []


def test_a_folder_of_the_search_path_that_is_not_there(project, document, tmp_path):
    (tmp_path / "lib").mkdir()
    project(f"supp_pythonpath = {tmp_path}/lib:/no/such/place")
    assert messages(document()["errors"]) == ["model.in:4: supp_pythonpath: there is no folder /no/such/place"]


def test_folders_begin_in_the_input_files_folder(project, tmp_path, monkeypatch):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine.py").write_text("VALUE = 4.0")
    (tmp_path / "elsewhere").mkdir()
    project("supp_pythonpath = lib", script="import mine\ndef run(hyperparams):\n    return mine.VALUE")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert tmp_path / "lib/mine.py" in checks.check(Path("../model.in")).analysis.files
    assert main(["run", "../model.in"]) == 0
    assert Path("result.txt").read_text() == "4.0\n"


needs_modules = pytest.mark.skipif(
    not Path("/usr/share/modules/init/bash").exists(), reason="environment-modules is not installed"
)


@pytest.fixture
def modulefiles(tmp_path, monkeypatch):
    """A folder of environment modules: `compiler`, which makes `library` loadable."""
    folder = tmp_path / "modulefiles"
    (folder / "below").mkdir(parents=True)
    (folder / "compiler").write_text(f"#%Module1.0\nprepend-path MODULEPATH {folder}/below\n")
    (folder / "below" / "library").write_text("#%Module1.0\n")
    monkeypatch.setenv("MODULEPATH", str(folder))


@needs_modules
def test_environment_modules_that_are_not_there(project, document, modulefiles):
    modules = "compiler gcc library x;touch${IFS}oops"
    project(f"exec_python_module = python/3.7\nsupp_modules = '{modules}'\nexec_r_module = R")
    assert messages(document()["warnings"]) == [
        "model.in:5: supp_modules: the module 'gcc' cannot be loaded: ERROR: Unable to locate a modulefile for 'gcc'",
        "model.in:5: supp_modules: the module 'x;touch${IFS}oops' cannot be loaded: "
        "ERROR: Unable to locate a modulefile for 'x;touch${IFS}oops'",
        "model.in:4: exec_python_module: the module 'python/3.7' cannot be loaded: "
        "ERROR: Unable to locate a modulefile for 'python/3.7'",
    ]
    assert not Path("oops").exists()
    with pytest.raises(InputError, match="supp_modules: the module 'gcc' cannot be loaded"):
        checks.check(Path("model.in"))  # to run it here


def test_no_command_module(project, document, tmp_path, monkeypatch):
    broken = "#!/bin/sh\necho \"there is no 'module' command on this machine\" >&2\nexit 3\n"
    (tmp_path / "bash").write_text(broken)
    (tmp_path / "bash").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    project("supp_modules = cuda/11")
    message = "supp_modules: modules cannot be loaded: there is no 'module' command on this machine"
    assert messages(document()["warnings"]) == [f"model.in:4: {message}"]


R_SCRIPT = "candle_value_to_return <- candle_params$lr * candle_params$epochs"


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R")
def test_r_is_there(project, document):
    project(script=R_SCRIPT, name="model.R")
    assert [m for m in messages(document()["errors"]) if "Rscript" in m or "jsonlite" in m] == []


@pytest.mark.parametrize(
    ("program", "error"),
    [
        (None, "model.R: the script is in R, but Rscript is not on PATH: install R"),
        ("#!/bin/sh\nexit 1", "model.R: the R package jsonlite is missing"),
    ],
)
def test_r_is_not_there(project, document, tmp_path, monkeypatch, program, error):
    (tmp_path / "bin").mkdir()
    if program:
        (tmp_path / "bin" / "Rscript").write_text(program)
        (tmp_path / "bin" / "Rscript").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    project(script=R_SCRIPT, name="model.R")
    assert messages(document()["errors"])[0].startswith(error)


def test_isolation_none_is_for_python(project, document):
    project("isolation = none", script="candle_value_to_return=$(candle_get_param lr)", name="model.sh")
    message = "isolation = none is for Python; a bash script has a process of its own: leave it out"
    assert messages(document()["errors"]) == [f"model.in:4: {message}"]


# ---- what no interpreter can read or find


@pytest.mark.parametrize("imports", ["import mine", "from package.part import f", "import between"])
def test_a_local_module_that_is_not_python(project, document, tmp_path, imports):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("from .part import f")
    for name in ("mine", "package/part"):
        (tmp_path / f"{name}.py").write_text("x = 1\ndef f(:\n    pass\n")
    (tmp_path / "between.py").write_text("import mine")
    project(script=f"{imports}\n{SCRIPT}")
    broken = "part.py" if "package" in imports else "mine.py"
    assert messages(document()["errors"]) == [f"{broken}:2: this is not Python: invalid syntax"]


@pytest.mark.parametrize("imports", ["try:\n    {}\nexcept Exception:\n    pass", "if 0:\n    {}", "def f():\n    {}"])
def test_an_import_that_may_be_meant_to_fail_is_no_mistake(project, document, tmp_path, imports):
    (tmp_path / "mine.py").write_text("def f(:")
    project(script=imports.format("import mine, surely_not_there") + SCRIPT)
    found = document()
    assert (found["errors"], found["warnings"]) == ([], [])


def test_a_module_that_is_not_there_is_a_warning(project, document, tmp_path):
    (tmp_path / "mine.py").write_text("import os, pytest\nimport surely_not_there.either")
    project(script=f"import mine\nimport surely_not_here as s\n{SCRIPT}")
    missing = "neither beside the script nor installed for " + sys.executable
    assert messages(document()["warnings"]) == [
        f"model.py:2: there is no module 'surely_not_here', {missing}",
        f"mine.py:2: there is no module 'surely_not_there', {missing}",
    ]


@pytest.mark.parametrize("control", ["", f"python_bin_path = {sys.executable}"])
def test_modules_are_not_sought_where_the_script_or_another_interpreter_decides(project, document, control):
    begin = "" if control else "import sys\nsys.path.append('lib')\n"
    project(control, script=f"{begin}import surely_not_there\n{SCRIPT}")
    assert document()["warnings"] == []


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R")
def test_a_script_that_is_not_r(project, document):
    project(script='writeLines("x", "it_ran")\nif (TRUE {\n}', name="model.R")
    (error,) = [m for m in messages(document()["errors"]) if "jsonlite" not in m]
    assert error == "model.R:2: this is not R: unexpected '{'"
    assert not Path("it_ran").exists()


BASH_SCRIPT = "candle_value_to_return=$(candle_get_param lr)"


def test_a_script_that_is_not_bash(project, document):
    project(script=f"touch it_ran\nif true; then\n  echo\n{BASH_SCRIPT}\nfii\ndone", name="model.sh")
    (error,) = messages(document()["errors"])
    assert error == "model.sh:6: this is not bash: syntax error near unexpected token `done'"
    assert not Path("it_ran").exists()


@pytest.mark.parametrize("script", ["shopt -s extglob\nls !(x)", "[[ a =~ ^(a|b)$ ]]", "cat <(echo)", "cat <<X\n)\nX"])
def test_what_bash_understands_is_no_mistake(project, document, script):
    project(script=f"{script}\n{BASH_SCRIPT}", name="model.sh")
    assert document()["errors"] == []


def test_what_stands_behind_the_end_of_a_bash_script_is_only_a_warning(project, document):
    project(script=f"{BASH_SCRIPT}\nexit 0\ndata ) follow", name="model.sh")
    found = document()
    assert (found["errors"], "this is not bash" in str(found["warnings"])) == ([], True)


# ---- commands


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Return a function that writes model.in with a command and no script."""
    monkeypatch.chdir(tmp_path)

    def write(control, space="lr = [0.1, 0.2]", defaults="epochs = 10"):
        Path("model.in").write_text(
            f"&control\n  workflow = grid\n{control}\n/\n&default_model\n{defaults}\n/\n&param_space\n{space}\n/\n"
        )

    return write


def test_a_command_needs_no_script(command, tmp_path):
    command("  command = \"echo 'IMPROVE_RESULT val_loss: {lr}' {epochs} {id} {output_dir}\"")
    assert support.hpo("check", "model.in", cwd=tmp_path).returncode == 0
    done = support.hpo("submit-job", "model.in", cwd=tmp_path)
    assert (done.returncode, "warning" in done.stderr) == (0, False)
    assert json.loads(support.hpo("best", "--json", cwd=tmp_path).stdout)["value"] == 0.1


def test_the_defaults_alone_may_lack_what_a_command_needs(command, hpo):
    command("  command = \"echo 'IMPROVE_RESULT val_loss: {lr}'\"")
    code, _, err = hpo("run", "model.in")
    remedy = "command has {lr}, which has no default: give --trial ID, or default_model.lr=VALUE"
    assert (code, err) == (2, f"model.in:3: {remedy}\n")
    assert hpo("run", "model.in", "--trial", "1")[0] == 0
    assert hpo("check", "model.in", "run_workflow=0")[0] == 2


@pytest.mark.parametrize(
    ("control", "space", "expected"),
    [
        ("command = 'echo {lrr} {lr}'", "lr = [1, 2]", "command has {lrr}, which is no parameter. Did you mean 'lr'?"),
        ('command = "echo \'{lr}"', "lr = [1, 2]", "command cannot be split into words: no closing quotation"),
        ("command = 'surely-not-installed {lr}'", "lr = [1]", "command: there is no program 'surely-not-installed'"),
        (
            "command = './train {lr}'",
            "lr = [1]",
            "command: trials run in folders of their own and will not find './train'; "
            "give its whole path, as in $(pwd)/...",
        ),
        (
            "command = 'echo {lr}'",
            '{"id": "a", "lr": 1}\n{"id": "b"}',
            "command has {lr}, which has no default and is missing from the trial b",
        ),
        (
            "command = 'echo {lr}'\nrunner = bash",
            "lr = [1]",
            "command is run by runner = command; leave out runner = bash, or command",
        ),
    ],
)
def test_a_command_that_could_not_run(command, document, control, space, expected):
    command(control, space)
    (error,) = messages(document()["errors"])
    assert error.startswith(f"model.in:3: {expected}")


def test_a_command_that_names_a_file_beside_the_input_file(command, document, tmp_path):
    (tmp_path / "train.py").touch()
    command(f"command = '{sys.executable} train.py --lr {{lr}}'")
    (warning,) = messages(document()["warnings"])
    assert "will not find 'train.py'; give its whole path" in warning


def test_a_pattern_must_find_a_number(command, document):
    command("command = 'echo {lr}'\nresult_pattern = 'loss = .*'")
    (error,) = messages(document()["errors"])
    assert error.startswith("model.in:4: result_pattern needs a group around the number")


def test_a_pattern_is_for_commands(project, document):
    project("result_pattern = 'loss = (.*)'")
    (warning,) = messages(document()["warnings"])
    assert warning.startswith("model.in:4: result_pattern is for commands; a python script")


def test_a_value_of_ones_own_for_a_name_that_every_trial_gets(project, document):
    project(defaults="epochs = 10\ntimeout = 60", script="def run(p):\n    return p['epochs'] * p['lr'] + p['timeout']")
    message = "'timeout' has the value that the input file gives it, in place of the one that every trial gets from hpo"
    assert messages(document()["notes"]) == [message]


# ---- one trial of a file


def test_a_trial_to_run_is_one_that_is_known_beforehand(project, hpo):
    project(space="lr = real(0, 1)")
    code, out, err = hpo("run", "model.in", "workflow=random", "n_trials=5", "--trial", "1")
    assert (code, out) == (2, "")
    assert err.startswith("--trial is for grids: what the trials of workflow = random are is known when they run")


def test_a_trial_that_is_not_there(project, hpo):
    project(defaults="epochs = 10\nlr = 1")
    message = "model.in has no trial '7'; its trials are numbered from 0 to 1\n"
    assert hpo("run", "model.in", "--trial", "7") == (2, "", message)


# ---- no working script is refused

WORKING = {
    "argparse_at_import": """
        import argparse
        args = argparse.ArgumentParser().parse_args()
        args.epochs = hyperparams['epochs']
        args.cuda = hyperparams.get('cuda', False)
        val_to_return = args.epochs * hyperparams['lr']
        """,
    "guarded_lookup": """
        try:
            batch = candle_params['batch_size']
        except KeyError:
            batch = 128
        candle_value_to_return = batch * candle_params['lr']
        """,
    "own_defaults_first": """
        hyperparams = {'batch_size': 128, **hyperparams}
        val_to_return = hyperparams['batch_size'] * hyperparams['lr']
        """,
    "filled_by_a_function": """
        def fill(p):
            p.setdefault('batch_size', 128)
        fill(hyperparams)
        val_to_return = hyperparams['batch_size'] * hyperparams['lr']
        """,
    "stops_before": """
        import sys
        val_to_return = hyperparams['lr']
        if hyperparams['epochs'] > 3:
            sys.exit(0)
        print(hyperparams['never_there'])
        """,
    "returns_before": """
        def run(p):
            if p['epochs'] > 3:
                return p['lr']
            return p['never_there']
        """,
    "canonical": """
        def initialize_parameters(default_model='x.txt'):
            return {'batch_size': 128}
        def run(params):
            return params['batch_size']
        """,
    "globals": """
        globals()['hyperparams']['batch_size'] = 128
        val_to_return = hyperparams['batch_size']
        """,
    "decorated": """
        import functools
        def with_defaults(f):
            return functools.wraps(f)(lambda p: f({'batch_size': 128, **p}))
        @with_defaults
        def run(p):
            return p['batch_size']
        """,
}


@pytest.mark.parametrize("name", WORKING)
def test_a_working_script_is_not_refused(project, document, name):
    """Each of these ends with a value when it is really run; so none of them is an error."""
    project(script=WORKING[name])
    found = document()
    assert found["errors"] == []
    assert _value(WORKING[name], found["script"]["form"]) is not None


def _value(script: str, form: str):
    """Run a script in the simplest way that gives its value."""
    dictionary = {"epochs": 10, "lr": 0.1}
    names = {"__name__": "__main__", "hyperparams": dictionary, "candle_params": dictionary}
    code, argv = compile(dedent(script), "model.py", "exec"), sys.argv
    sys.argv = ["model.py"]
    try:
        exec(code, names)
    except SystemExit:
        pass
    finally:
        sys.argv = argv
    if form == "run":
        return names["run"](dictionary)
    if form == "canonical":
        return names["run"]({**names["initialize_parameters"](), **dictionary})
    return names.get("val_to_return", names.get("candle_value_to_return"))


# ---- our own files


@pytest.mark.parametrize("file", sorted(shipped.folder("inputs").glob("*.in")), ids=lambda file: file.name)
def test_the_inputs_that_travel_with_the_package_are_clean(file):
    checked = checks.check(file)
    assert checked.warnings == ()
    assert checked.n_trials > 1
