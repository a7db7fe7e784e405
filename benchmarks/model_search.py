"""What a search of a model brings: the figures and pictures of docs/models.md, from experiments that hpo has run.

    python benchmarks/model_search.py subset 24000 -o small     # Fashion-MNIST with the first training images only
    python benchmarks/model_search.py again experiments/X000    # writes default.in and found.in, five new seeds each
    python benchmarks/model_search.py page experiments/X00{0,1,2} -o pictures

`page` takes the search, the defaults and what it found, prints tables in Markdown and draws; it needs matplotlib
(`uv run --with matplotlib python …`). A fourth experiment, a search of the same size with `workflow=random`, is put
beside the first.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from PIL import Image

from hpo.experiment import Experiment, find
from hpo.inputfile.canonical import default_model
from hpo.results.view import View
from hpo.space import Categorical, Integer, Real

MODELS_FOLDER = Path(__file__).parents[1] / "models"
SEEDS = [101, 102, 103, 104, 105]
TOP = 0.25  # importance: what sets the best quarter of the trials apart
Trial = Mapping[str, Any]  # as `hpo show --json` prints it


class Model(NamedTuple):
    """How to speak of a model's result, and which pictures its trials leave: (file, title)."""

    result: str
    digits: int
    log: bool
    pictures: Sequence[tuple[str, str]]
    real: str = ""


MODELS = {
    "vae.py": Model(
        "validation loss (nats per image)",
        2,
        False,
        [("samples.png", "samples"), ("reconstructions.png", "reconstructions"), ("walk.png", "walk")],
    ),
    "dcgan.py": Model("MMD² to held-out images", 5, True, [("generated_{epochs}.png", "generated")], real="real.png"),
}


# -- a smaller data set, and new seeds


def subset(arguments: argparse.Namespace) -> None:
    """Write the first images as idx files, where `HPO_DATA` looks for them; all test images stay."""
    sys.path.insert(0, str(MODELS_FOLDER))
    import image_data

    images = image_data.load("fashion_mnist")
    assert images.labels is not None
    folder = Path(arguments.output, "FashionMNIST", "raw")
    folder.mkdir(parents=True)
    _write_idx(folder / "train-images-idx3-ubyte", images.train[: arguments.count].squeeze(1))
    _write_idx(folder / "train-labels-idx1-ubyte", images.labels[: arguments.count])
    _write_idx(folder / "t10k-images-idx3-ubyte", images.test.squeeze(1))


def _write_idx(path: Path, values: torch.Tensor) -> None:
    """The format is told at http://yann.lecun.com/exdb/mnist: two zeros, 8 for bytes, the shape, the values."""
    shape = np.array(values.shape, ">i4").tobytes()
    path.write_bytes(bytes([0, 0, 8, values.ndim]) + shape + values.to(torch.uint8).numpy().tobytes())


def again(arguments: argparse.Namespace) -> None:
    """Write two input files: the search's defaults, and its best trial, each with seeds that the search never had."""
    experiment = find(arguments.experiment)
    best = View(experiment).best()
    assert best is not None
    for name, params in (("default", {}), ("found", best.params)):
        Path(f"{name}.in").write_text(
            f"&control\n  model_script = {experiment.script.path.name}\n  workflow = grid\n/\n"
            f"{default_model({**experiment.defaults, **params})}"
            f"&param_space\n  seed = {SEEDS}\n/\n"
        )


# -- what the experiments say


def trials_of(experiment: Experiment) -> list[Trial]:
    """All that have a value, pruned ones too."""
    view = View(experiment)
    return [trial for row in view.rows() if (trial := view.trial(row.number))["value"] is not None]


def curves(trials: Iterable[Trial]) -> list[list[float]]:
    """The reports of each trial, by epochs."""
    return [[value for _, value in trial["reports"]] for trial in trials]


def importance(experiment: Experiment, trials: Sequence[Trial]) -> dict[str, float]:
    """PED-ANOVA (Watanabe 2023): how much each hyperparameter sets the best trials apart; the sum is 1.

    A pruned trial stands with its last report: it was worse than the median then, so that it is none of the best.
    Conditional hyperparameters are left out.
    """
    distributions = {p.name: _distribution(p) for p in experiment.space.parameters if p.condition is None}
    study = optuna.create_study()
    for trial in trials:
        params = {name: trial["params"][name] for name in distributions}
        study.add_trial(optuna.create_trial(value=trial["value"], params=params, distributions=distributions))
    return dict(get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=TOP)))


def _distribution(parameter: Any) -> BaseDistribution:
    match parameter:
        case Categorical():
            return CategoricalDistribution(parameter.choices)
        case Integer():
            return IntDistribution(parameter.low, parameter.high, log=parameter.log)
        case Real():
            return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
        case _:
            raise TypeError(parameter)


def test_score(trial: Trial, script: Path) -> float:
    """On images that neither training nor search has seen, by the script's own command."""
    command = [sys.executable, str(MODELS_FOLDER / script.name), "test", "--checkpoint", trial["folder"]]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


# -- tables


def print_tables(search: Experiment, default: Experiment, found: Experiment, drawn: Experiment | None) -> None:
    """What the search cost and brought, by which hyperparameters."""
    name = search.script.path.name
    digits = MODELS[name].digits
    print("| search | trials | ended early | epochs spent | best |\n|---|---|---|---|---|")
    for experiment in filter(None, (search, drawn)):
        trials = trials_of(experiment)
        early = sum(trial["state"] == "pruned" for trial in trials)
        spent, whole = sum(map(len, curves(trials))), len(trials) * experiment.defaults["epochs"]
        best = _best(trials)
        workflow = experiment.keywords["workflow"]
        print(f"| `{workflow}` | {len(trials)} | {early} | {spent} of {whole} | {best['value']:.{digits}f} |")
    print("\n| | new seeds | validation | test |\n|---|---|---|---|")
    for label, experiment in (("default", default), ("found", found)):
        trials = trials_of(experiment)
        validation = [trial["value"] for trial in trials]
        test = [test_score(trial, experiment.script.path) for trial in trials]
        print(f"| {label} | {len(trials)} | {_spread(validation, digits)} | {_spread(test, digits)} |")
    weights = [importance(experiment, trials_of(experiment)) for experiment in filter(None, (search, drawn))]
    heads = ["hyperparameter", "default", "found", "importance", *["in the random search"] * (len(weights) - 1)]
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    best = _best(trials_of(search))["params"]
    for parameter in sorted(search.space.names, key=lambda key: -weights[0].get(key, 0)):
        cells = [search.defaults.get(parameter, "-"), best.get(parameter, "-"), *(w.get(parameter) for w in weights)]
        print(f"| `{parameter}` | {' | '.join(map(_cell, cells))} |")


def _best(trials: Sequence[Trial]) -> Trial:
    return min((trial for trial in trials if trial["state"] == "completed"), key=lambda trial: trial["value"])


def _spread(values: Sequence[float], digits: int) -> str:
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return f"{mean:.{digits}f} ± {deviation:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.2g}" if isinstance(value, float) else str(value)


# -- pictures


def draw_search(
    search: Experiment, default: Experiment, found: Experiment, drawn: Experiment | None, file: Path
) -> None:
    """Left: each trial and the best so far. Right: learning curves of the default and of what was found."""
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    model = MODELS[search.script.path.name]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for experiment, colour, label in ((search, "tab:blue", "bayesian"), (drawn, "tab:orange", "random")):
        if experiment is not None:
            _draw_trials(left, trials_of(experiment), colour, label)
    left.set(xlabel="trial", ylabel=model.result, title="The search")
    for experiment, colour, label in ((default, "tab:gray", "default"), (found, "tab:blue", "found")):
        _draw_curves(right, curves(trials_of(experiment)), colour, label)
    right.set(xlabel="epoch", ylabel=model.result, title="New seeds: mean, least and most")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_yscale("log" if model.log else "linear")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2, fontsize=9, frameon=False)
        axes.grid(alpha=0.3)
    if not model.log:  # the last epochs and the better trials are what differs; single ones may lie above the frame
        values = [value for curve in curves(trials_of(default)) for value in curve[1:]]
        lowest = _best(trials_of(search))["value"]
        for axes in (left, right):
            axes.set_ylim(lowest - 0.05 * (max(values) - lowest), max(values))
    figure.savefig(file, dpi=80)


def _draw_trials(axes: Any, trials: Sequence[Trial], colour: str, label: str) -> None:
    for state, marker in (("completed", "o"), ("pruned", "x")):
        chosen = [trial for trial in trials if trial["state"] == state]
        numbers, values = [t["number"] + 1 for t in chosen], [t["value"] for t in chosen]
        axes.scatter(numbers, values, s=24, marker=marker, color=colour, label=f"{label}, {state}", alpha=0.7)
    completed = [trial["value"] if trial["state"] == "completed" else np.inf for trial in trials]
    axes.step([t["number"] + 1 for t in trials], np.minimum.accumulate(completed), where="post", color=colour)


def _draw_curves(axes: Any, values: list[list[float]], colour: str, label: str) -> None:
    table = np.array(values)
    epochs = np.arange(1, table.shape[1] + 1)
    axes.plot(epochs, table.mean(0), color=colour, label=label)
    axes.fill_between(epochs, table.min(0), table.max(0), color=colour, alpha=0.25)


def draw_images(default: Experiment, found: Experiment, folder: Path, stem: str) -> None:
    """The pictures of the trials, default beside found; of each the seed with the median result."""
    model = MODELS[default.script.path.name]
    for name, title in model.pictures:
        panels = []
        for label, experiment in (("default", default), ("found", found)):
            trials = sorted(trials_of(experiment), key=lambda trial: trial["value"])
            middle = trials[len(trials) // 2]
            run = Path(middle["folder"])
            file = name.format(epochs=experiment.defaults["epochs"])
            panels.append((f"{title}, {label}: {middle['value']:.{model.digits}f}", Image.open(run / file)))
        if model.real:
            panels.insert(0, ("real", Image.open(run / model.real)))
        _draw_panels(panels, folder / f"{stem}_{title}.png")


def _draw_panels(panels: Sequence[tuple[str, Image.Image]], file: Path) -> None:
    from matplotlib import pyplot

    width, height = panels[0][1].size
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(3.6 * len(panels), 3.6 * height / width + 0.3), layout="constrained"
    )
    for axis, (title, image) in zip(axes, panels, strict=True):
        axis.imshow(image, cmap="gray")
        axis.set_title(title, fontsize=11)
        axis.axis("off")
    figure.savefig(file, dpi=80)
    with Image.open(file) as drawn:
        small = drawn.convert("L").quantize(32)  # greys that the eye does not miss, a third of the bytes
    small.save(file, optimize=True)


def page(arguments: argparse.Namespace) -> None:
    """Print the tables and draw the pictures."""
    search, default, found, *rest = map(find, arguments.experiments)
    drawn = rest[0] if rest else None
    folder = Path(arguments.output)
    folder.mkdir(parents=True, exist_ok=True)
    print_tables(search, default, found, drawn)
    stem = search.script.path.stem
    draw_search(search, default, found, drawn, folder / f"{stem}_search.png")
    draw_images(default, found, folder, stem)


def main() -> None:
    """One of the three."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)

    def verb(action: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        found = verbs.add_parser(action.__name__, help=action.__doc__)
        found.set_defaults(action=action)
        return found

    smaller = verb(subset)
    smaller.add_argument("count", type=int)
    smaller.add_argument("-o", "--output", default="small")
    verb(again).add_argument("experiment", nargs="?")
    shown = verb(page)
    shown.add_argument("experiments", nargs="+", metavar="EXP")
    shown.add_argument("-o", "--output", default="pictures")
    arguments = parser.parse_args()
    arguments.action(arguments)


if __name__ == "__main__":
    main()
