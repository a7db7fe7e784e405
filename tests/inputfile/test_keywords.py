"""The table of &control keywords: its types, its older names, what it does not offer yet, and its pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support import hpo

from hpo import pruners, registry, samplers
from hpo.cli.keywords import as_markdown, as_text
from hpo.errors import InputError
from hpo.inputfile import InputFile, read
from hpo.inputfile.keywords import GROUPS, KEYWORDS, SPELLINGS, Keyword, Use

ROOT = Path(__file__).parents[2]


def read_control(folder: Path, lines: str, to_run: bool = True) -> InputFile:
    (folder / "m.py").write_text("def run(hyperparams):\n    return 0.0\n")
    head = "" if lines.strip().startswith("workflow") else "  workflow = grid\n"
    control = f"&control\n  model_script = m.py\n{head}{lines}\n/\n"
    file = folder / "x.in"
    file.write_text(f"{control}&default_model\n/\n&param_space\n  x = [1, 2]\n/\n")
    return read(file, to_run=to_run)


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("00:20:00", 1200, "00:20:00"),
        ("'00:20:00'", 1200, "00:20:00"),
        ("00:20", 1200, "00:20:00"),
        ("1:30", 5400, "01:30:00"),
        ("36:00:00", 129600, "36:00:00"),
        ("2-01:00:00", 176400, "49:00:00"),
        ("2-01:30", 178200, "49:30:00"),
        ("1-12", 129600, "36:00:00"),
        ("90", 5400, "01:30:00"),
        ("0.5", 30, "00:00:30"),
        ("100:00:05", 360005, "100:00:05"),
    ],
)
def test_walltime_is_read_in_all_forms(tmp_path: Path, text: str, seconds: int, shown: str) -> None:
    file = read_control(tmp_path, f"  walltime = {text}")
    assert (file.control["walltime"], file.shown("walltime")) == (seconds, shown)


@pytest.mark.parametrize(
    ("keyword", "text", "value"),
    [
        ("trial_timeout", "90", 90),
        ("trial_timeout", "00:01:30", 90),
        ("nworkers", "1e3", 1000),
        ("nworkers", '"4"', 4),
        ("run_workflow", ".FALSE.", False),
        ("run_workflow", "no", False),
        ("dry_run", "T", True),
        ("max_output", "100 MB", 100_000_000),
        ("max_output", "1MiB", 1_048_576),
        ("max_output", "5000", 5000),
        ("max_output", "2e3 kB", 2_000_000),
        ("mem_per_cpu", "7.5", 7.5),
        ("mem_per_cpu", "500 MB", 0.5),
        ("mem_per_node", "20G", 20.0),
        ("supp_modules", "'cuda/10.2 cudnn/7'", ["cuda/10.2", "cudnn/7"]),
        ("supp_modules", "cuda/10.2, cudnn/7", ["cuda/10.2", "cudnn/7"]),
        ("supp_modules", "['a/1', 'b/2']", ["a/1", "b/2"]),
        ("workflow", "mlrmbo", "bayesian"),
        ("workflow", "UPF", "grid"),
        ("custom_sbatch_args", "--comment='a b' --x=1", "--comment='a b' --x=1"),
        ("project", "'$HOME'", "$HOME"),
    ],
)
def test_values_are_read_by_the_keywords_type(tmp_path: Path, keyword: str, text: str, value: Any) -> None:
    assert read_control(tmp_path, f"  {keyword} = {text}", to_run=False).control[keyword] == value


def test_what_is_not_given_has_its_default(tmp_path: Path) -> None:
    file = read_control(tmp_path, "")
    expected = {name: row.default for name, row in KEYWORDS.items() if not row.required}
    assert {name: file.control[name] for name in expected} == expected
    assert set(file.given) == {"model_script", "workflow"}


def test_given_says_where(tmp_path: Path) -> None:
    assert read_control(tmp_path, "  ngpus = 3").given["nworkers"] == "x.in:4"


@pytest.mark.parametrize("row", [row for row in KEYWORDS.values() if row.available], ids=lambda row: row.name)
def test_a_choice_that_this_version_lacks_is_named_before_anything_runs(row: Keyword, tmp_path: Path) -> None:
    offered = row.type.name.split(" | ")
    assert set(row.available) <= set(offered)
    for choice in set(offered) - set(row.available):
        line = f"  {row.name} = {choice}"
        with pytest.raises(InputError, match=f"{row.name} = {choice} is not available in this version"):
            read_control(tmp_path, line)
        assert read_control(tmp_path, line, to_run=False).warnings


@pytest.mark.parametrize("row", [row for row in KEYWORDS.values() if row.use is Use.MISSING], ids=lambda row: row.name)
def test_no_keyword_does_nothing_silently(row: Keyword, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{row.name} is not available in this version"):
        read_control(tmp_path, f"  {row.name} = 4")


def test_a_note_says_what_a_local_search_ignores(tmp_path: Path) -> None:
    notes = [str(note) for note in read_control(tmp_path, "  walltime = 00:20:00\n  design_size = 9").notes]
    assert [note.partition("x.in:")[2] for note in notes] == [
        "4: walltime is for jobs of a scheduler; a local search ignores it",
        "5: design_size is for workflow = bayesian",
    ]


def test_a_keyword_that_nothing_reads_is_said_to_be_missing() -> None:
    table = ROOT / "hpo" / "inputfile" / "keywords.py"
    sources = [path for path in (ROOT / "hpo").rglob("*.py") if path != table and "shipped" not in path.parts]
    read = {name for path in sources for name in re.findall(r"""["']([a-z_]+)["']""", path.read_text())}
    read |= {f"pruner_{option}" for pruner in pruners.TABLE.values() for option in pruner.options}
    unread = {name for name, row in KEYWORDS.items() if name not in read}
    assert unread <= {name for name, row in KEYWORDS.items() if row.use in (Use.MISSING, Use.NOTHING)}
    assert {"stage", "keep", "dl_backend"} <= unread  # the search sees


def test_names_are_unique_and_lower_case() -> None:
    names = [name for rows in GROUPS.values() for row in rows for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names)) == len(SPELLINGS)
    assert all(name == name.lower() for name in names)


DOCUMENTED = """
model_script workflow nworkers worker_type nthreads walltime mem_per_cpu mem_per_node cpus_per_task project queue
custom_sbatch_args run_workflow dry_run use_candle ngpus gpu_type restart_from_exp supp_modules python_bin_path
exec_python_module supp_pythonpath extra_script_args exec_r_module supp_r_libs dl_backend design_size propose_points
max_budget max_iterations executor site seed isolation trial_timeout max_attempts stop_after max_output sampler n_trials
max_hours pruner objective direction runner result_pattern command array gpus_per_trial workers_per_gpu mail stage keep
journal warm_start
"""


def test_every_keyword_ever_documented_is_known() -> None:
    assert set(DOCUMENTED.split()) <= set(SPELLINGS)


def test_every_member_of_a_family_can_be_chosen() -> None:
    families = {
        "executor": registry.EXECUTORS,
        "runner": registry.RUNNERS,
        "sampler": samplers.TABLE,
        "pruner": pruners.TABLE,
    }
    for name, members in families.items():
        assert [KEYWORDS[name].type.read(member) for member in members] == list(members)


def test_the_page_is_what_the_table_says() -> None:
    page = (ROOT / "docs" / "keywords.md").read_text()
    assert page == as_markdown() + "\n", "run: hpo keywords --markdown > docs/keywords.md"


def test_every_keyword_is_in_the_list() -> None:
    words = as_text().split()
    assert [name for name in KEYWORDS if name not in words] == []


def test_the_verb_prints_the_table_and_one_row(tmp_path: Path) -> None:
    assert hpo("keywords", cwd=tmp_path).stdout == as_text() + "\n"
    one = hpo("keywords", "NGPUS", cwd=tmp_path)
    assert one.stdout.startswith("nworkers: how many trials run at a time\n")
    wrong = hpo("keywords", "worker_typ", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr == "unknown &control keyword 'worker_typ'. Did you mean 'worker_type'?\n"
