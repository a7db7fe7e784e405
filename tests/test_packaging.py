"""What is installed, what is imported when, and that the family tables and the names of the registry agree."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import COMMAND, environment, hpo

import hpo as package
from hpo import executors, registry, runners, shipped

ROOT = Path(package.__file__).resolve().parent.parent
HEAVY = ("torch", "optuna", "sklearn", "scipy", "numpy", "rich", "jinja2")


@pytest.mark.parametrize("words", [["--help"], ["status"], ["list"], ["help", "submit-job"]])
def test_light_commands_import_nothing_heavy(tmp_path, words):
    code = f"import sys; from hpo.cli import main; main({words!r}); print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def nodes_of(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a syntax tree but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from nodes_of(node)


def imports_of(file: Path) -> set[str]:
    """The names of the modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in nodes_of(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


#: Rooms in the order in which they may import each other: each only from its own line or one above.
ORDER = (
    ("errors", "trial", "space", "registry", "shipped", "processes", "hours", "disk"),
    ("journal", "script", "slurm", "grid_expression"),
    ("ledger", "liveness", "runners"),
    ("told",),
    ("samplers", "pruners"),
    ("inputfile",),
    ("experiment", "templates"),
    ("executors", "restart", "results", "worker"),
    ("search", "session"),
    ("checks", "creation", "single"),
    ("submission",),
    ("cli",),
)
LEVEL = {f"hpo.{room}": level for level, rooms in enumerate(ORDER) for room in rooms}


def sources() -> list[Path]:
    return [path for path in sorted((ROOT / "hpo").rglob("*.py")) if "shipped" not in path.parts]


def room_of(file: Path) -> str:
    return "hpo." + file.relative_to(ROOT / "hpo").parts[0].removesuffix(".py")


def test_imports_run_one_way():
    files = [file for file in sources() if room_of(file) not in ("hpo.__init__", "hpo.training")]
    assert len(files) > 100  # a guard that sees nothing passes
    assert {room_of(file) for file in files} == set(LEVEL)  # nor one that does not know a room
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imports_of(file)
        if LEVEL.get(".".join(name.split(".")[:2]), -1) > LEVEL[room_of(file)]
    ]
    assert not wrong


#: The files of a family's members; what they share is in others.
FAMILIES = {
    "executors": ("inline", "local", "slurm"),
    "runners": ("python", "rscript", "bash", "command", "inprocess", "debugger"),
    "samplers": ("grid", "by_index", "optuna_sampler"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_members_of_a_family_do_not_import_each_other(family):
    table = importlib.import_module(f"hpo.{family}").TABLE
    members = {f"hpo.{family}.{member}" for member in FAMILIES[family]}
    assert {row.__module__ for row in table.values() if isinstance(row, type)} <= members
    for member in members:
        file = ROOT / f"{member.replace('.', '/')}.py"
        assert not imports_of(file) & (members - {member}), member


def test_only_the_training_room_knows_torch():
    """And the sampler that keeps Optuna's Gaussian processes, which are torch's, to one thread."""
    known = ROOT / "hpo" / "samplers" / "optuna_sampler.py"
    files = [file for file in sources() if room_of(file) != "hpo.training" and file != known]
    assert len(files) > 60
    assert not [str(f) for f in files if any(name.split(".")[0] in ("torch", "torchvision") for name in imports_of(f))]


def test_the_tables_have_the_names_of_the_registry():
    assert tuple(executors.TABLE) == registry.EXECUTORS
    assert tuple(runners.TABLE) == registry.RUNNERS


@pytest.mark.parametrize("name", ["models", "inputs"])
def test_shipped_folders_are_found_in_a_clone(name):
    assert any(shipped.folder(name).iterdir())


def test_every_verb_is_in_the_documentation():
    from hpo.cli import VERBS

    text = (ROOT / "docs" / "commands.md").read_text()
    assert len(VERBS) > 10
    assert [verb for verb in VERBS if f"`hpo {verb}" not in text] == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as for a release."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["uv", "build", "--wheel", "--quiet", "--out-dir", folder, ROOT], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_models_inputs_and_workflows(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "hpo/shipped/models/vae.py" in names
    assert "hpo/shipped/inputs/vae.in" in names
    assert any(name.startswith("hpo/shipped/workflows/") for name in names)


def test_a_wheel_in_an_empty_environment_imports_a_template_and_runs_it(wheel, tmp_path):
    """Without torch, without the clone."""
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, wheel], check=True)
    command = [str(tmp_path / "venv" / "bin" / "hpo")]

    def run(*words: str) -> str:
        done = subprocess.run([*command, *words], cwd=tmp_path, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("import-template", "quadratic")
    out = run("submit-job", "quadratic.in")
    assert "best" in out
    assert sorted(path.name for path in tmp_path.iterdir())[-3:] == ["quadratic.in", "quadratic.py", "venv"]


def test_the_command_says_its_version(tmp_path):
    assert hpo("--version", cwd=tmp_path).stdout == f"hpo {package.__version__}\n"
    assert subprocess.run([*COMMAND], capture_output=True, text=True, env=dict(os.environ)).stdout.startswith(
        "usage: hpo"
    )
