"""How many epochs pruners spare on the VAE, and how good the best trial still is.

    python benchmarks/pruning.py [--seeds 10] [--trials 40]

For each seed, settings are drawn at random and trained to the end on the handwritten digits (10 epochs). Each pruner
then sees the same reports in the same order, one trial after the other, and ends trials; what it would have spared is
counted. The best of the trials that were left is compared with the best of all.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo import pruners, samplers
from hpo.space import Integer, ParameterSpace, Real
from hpo.told import Kind, Told

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
EPOCHS = 10
SPACE = ParameterSpace(
    [
        Real("lr", 1e-4, 3e-2, log=True),
        Integer("batch_size", 16, 256, log=True),
        Integer("hidden_size", 32, 512, log=True),
        Integer("latent_size", 2, 40, log=True),
    ]
)
PRUNERS: Mapping[str, Mapping[str, Any]] = {
    "median": {"warmup": 1},
    "asha": {},
    "asha, factor 2": {"factor": 2},
    "hyperband": {"max_steps": EPOCHS},
}


def curve(params: Mapping[str, Any], seed: int) -> list[float]:
    """Train once; return the validation loss after each epoch, or nothing when the training diverged."""
    import vae

    with tempfile.TemporaryDirectory() as folder:
        reports = Path(folder) / "reports"
        os.environ |= {"HPO_REPORT_FILE": str(reports), "HPO_CHECKPOINT_DIR": f"{folder}/checkpoints"}
        try:
            vae.run({"dataset": "digits", "epochs": EPOCHS, "rng_seed": seed, "output_dir": folder, **params})
        except FloatingPointError:
            return []
        return [json.loads(line)["value"] for line in reports.read_text().splitlines()]


def replay(curves: Sequence[Sequence[float]], name: str, options: Mapping[str, Any]) -> tuple[float, float]:
    """Return the part of the epochs that was spent, and the best loss that is left."""
    pruner = pruners.create(name, {**pruners.TABLE[name].options, **options})
    told: list[Told] = []
    for number, values in enumerate(curves):
        reports: dict[int, float] = {}
        kind = Kind.COMPLETED
        for epoch, value in enumerate(values, 1):
            reports[epoch] = value
            if pruner.prunes(told, number, reports):
                kind = Kind.PRUNED
                break
        told.append(Told(number, kind, {}, (values[-1],) if kind is Kind.COMPLETED else (), reports))
    spent = sum(len(one.reports) for one in told) / sum(map(len, curves))
    return spent, min(one.values[0] for one in told if one.values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=40)
    args = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in PRUNERS}
    for seed in range(args.seeds):
        draw = samplers.create("random", SPACE, {}, seed)
        curves = [curve(draw.propose((), n).params, seed) for n in range(args.trials)]
        curves = [values for values in curves if len(values) == EPOCHS]
        best = min(values[-1] for values in curves)
        for name, options in PRUNERS.items():
            spent, left = replay(curves, name.partition(",")[0], options)
            found[name].append((spent, left / best - 1))
        print(f"seed {seed}: best {best:.2f}", file=sys.stderr)
    print(
        f"| {args.seeds} seeds, {args.trials} trials | epochs spent | best is worse by, median / most |\n|---|---|---|"
    )
    for name, pairs in found.items():
        spent, worse = zip(*pairs, strict=True)
        print(f"| {name} | {statistics.fmean(spent):.0%} | {statistics.median(worse):.2%} / {max(worse):.2%} |")


if __name__ == "__main__":
    main()
