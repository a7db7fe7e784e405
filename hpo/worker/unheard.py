"""Reports that a script wrote and its worker did not live to record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hpo.ledger import AttemptRecord
from hpo.runners.reports import ReportTail

#: In an attempt's folder, from its beginning until its end is recorded: what the script reports (HPO_REPORT_FILE).
REPORTS = ".reports"


def unheard(earlier: Mapping[int, AttemptRecord], folders: Iterable[Path]) -> list[tuple[int, float]]:
    """Return the reports of a trial's last attempt, ``(step, value)`` in order, that no journal has.

    earlier: what the journals say of the attempts so far. folders: theirs, the newest first; some may be missing.
    Without these reports a training that goes on from its checkpoint would leave a gap in its curve.
    """
    written: list[tuple[int, float]] = []
    newest = next((folder for folder in folders if folder.is_dir()), None)
    if newest is None:
        return []
    ReportTail(newest / REPORTS, lambda step, value: written.append((step, value))).finish()
    heard = [repr(report) for _, attempt in sorted(earlier.items()) for report in attempt.reports]
    known = [repr(report) for report in written]  # as texts, in which NaN is NaN
    most = min(len(heard), len(known))
    return written[next(n for n in range(most, -1, -1) if heard[len(heard) - n :] == known[:n]) :]
