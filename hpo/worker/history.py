"""What a worker knows of all trials: the merged journals, as far as it has read them."""

from __future__ import annotations

from collections.abc import Sequence

from hpo.journal import FolderJournal
from hpo.ledger import Ledger, TrialRecord


class History:
    """Grows by what `journal` has new; claims are not in it (`hpo.told` says why)."""

    def __init__(self, journal: FolderJournal) -> None:
        self._journal = journal
        self._ledger = Ledger()
        self._recorded: dict[str, int] = {}

    def read(self) -> Sequence[TrialRecord]:
        """Read what is new; return all trials."""
        self._ledger.add_events(self._journal.read_new())
        return list(self._ledger.trials.values())

    def seen(self) -> dict[str, int]:
        """Return how far each journal was read, where that has changed since the last call.

        With those of this worker's earlier `started` records it says what a proposal was made from.
        """
        offsets = self._journal.read_so_far()
        changed = {name: offset for name, offset in offsets.items() if self._recorded.get(name) != offset}
        self._recorded.update(changed)
        return changed
