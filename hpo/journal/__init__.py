"""The record of an experiment: who claimed what, and what became of it."""

from hpo.journal.base import Event, Journal
from hpo.journal.folder import FolderJournal

__all__ = ["Event", "FolderJournal", "Journal"]
