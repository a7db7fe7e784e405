"""The models are scripts beside each other, not a package: they are imported as Python imports a script's siblings."""

from __future__ import annotations

import sys

import pytest
import torch

from hpo import shipped

sys.path.insert(0, str(shipped.folder("models")))
torch.set_num_threads(1)  # torch's default spins, and starves whoever else is on the machine


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No trial of hpo around, one thread."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("HPO_CHECKPOINT_DIR", "HPO_RESTORE_FROM", "HPO_REPORT_FILE", "HPO_STOP_FILE", "HPO_TRIAL"):
        monkeypatch.delenv(name, raising=False)
