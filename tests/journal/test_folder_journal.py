"""The journal: claims, appends, and readers that bear every damage."""

from __future__ import annotations

import json
import os
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import StorageError
from hpo.journal import FolderJournal


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "claims").mkdir()
    (tmp_path / "journal").mkdir()
    return tmp_path / "claims", tmp_path / "journal"


def events(count: int, start: int = 0) -> list[dict[str, object]]:
    return [{"e": "finished", "n": n, "k": 1, "value": n / 7} for n in range(start, start + count)]


def numbers(journal: FolderJournal) -> list[int]:
    return [event["n"] for event in journal.read_new()]


class TestClaims:
    def test_the_first_to_claim_owns_it(self, folders):
        assert FolderJournal(*folders, "a").claim("17.1") == "a"
        assert FolderJournal(*folders, "b").claim("17.1") == "a"

    def test_a_claim_that_names_me_is_mine(self, folders):
        journal = FolderJournal(*folders, "a")
        journal.claim("17.1")
        assert journal.claim("17.1") == "a"  # as after a reply that an NFS server sent and the network lost

    def test_an_unreadable_owner_is_nobody_known(self, folders):
        (folders[0] / "17.1").write_text("not a link")
        assert FolderJournal(*folders, "a").claim("17.1") == ""

    def test_the_tag_travels_with_the_owner(self, folders):
        FolderJournal(*folders, "a").claim("17.done", ".2")
        assert FolderJournal(*folders).claims() == {"17.done": "a.2"}

    def test_claims_of_some_trials_only(self, folders):
        journal = FolderJournal(*folders, "a")
        for key in ("1.1", "1.done", "2.1", "11.1"):
            journal.claim(key)
        assert set(journal.claims(only={1})) == {"1.1", "1.done"}

    def test_of_many_at_once_each_key_has_one_owner(self, folders):
        with get_context("fork").Pool(8) as pool:
            won = pool.starmap(_claim_all, [(*folders, f"w{i}") for i in range(8)])
        assert sorted(key for keys in won for key in keys) == sorted(f"{n}.1" for n in range(200))


def _claim_all(claims: Path, journals: Path, worker: str) -> list[str]:
    journal = FolderJournal(claims, journals, worker)
    return [key for n in range(200) if journal.claim(key := f"{n}.1") == worker]


class TestReading:
    def test_events_come_once_in_order_with_their_worker(self, folders):
        writer, reader = FolderJournal(*folders, "a"), FolderJournal(*folders)
        writer.append(events(2))
        assert [(e["n"], e["w"]) for e in reader.read_new()] == [(0, "a"), (1, "a")]
        writer.append(events(1, 2))
        assert numbers(reader) == [2]
        assert numbers(reader) == []

    def test_half_a_line_is_read_when_it_is_whole(self, folders):
        line = json.dumps(events(1)[0]).encode() + b"\n"
        file = folders[1] / "a.jsonl"
        file.write_bytes(line[:9])
        reader = FolderJournal(*folders)
        assert numbers(reader) == []
        file.write_bytes(line)
        assert numbers(reader) == [0]

    @pytest.mark.parametrize(
        "garbage", [b"\0\0\0\n", b"{\n", b"[1]\n", b"7\n", b'{"n": 1}\n', b"[" * 5000 + b"\n", b"\xff\n"]
    )
    def test_a_line_that_is_no_event_is_rejected_alone(self, folders, garbage):
        good = json.dumps(events(1)[0]).encode() + b"\n"
        (folders[1] / "a.jsonl").write_bytes(garbage + good)
        assert numbers(FolderJournal(*folders)) == [0]

    @given(cut=st.integers(0, 400))
    def test_cut_at_any_byte_only_the_last_record_is_lost(self, tmp_path_factory, cut):
        base = tmp_path_factory.mktemp("cut")
        for name in ("claims", "journal"):
            (base / name).mkdir()
        FolderJournal(base / "claims", base / "journal", "a").append(events(8))
        file = base / "journal" / "a.jsonl"
        whole = file.read_bytes()
        file.write_bytes(whole[:cut])
        assert numbers(FolderJournal(base / "claims", base / "journal")) == list(range(whole[:cut].count(b"\n")))

    @given(tail=st.binary(max_size=60))
    def test_garbage_at_the_end_costs_nothing_before_it(self, tmp_path_factory, tail):
        base = tmp_path_factory.mktemp("tail")
        for name in ("claims", "journal"):
            (base / name).mkdir()
        FolderJournal(base / "claims", base / "journal", "a").append(events(5))
        with (base / "journal" / "a.jsonl").open("ab") as file:
            file.write(tail)
        found = FolderJournal(base / "claims", base / "journal").read_new()
        assert [e["n"] for e in found[:5]] == list(range(5))


class TestWriting:
    def test_after_a_write_error_a_new_file_is_opened(self, folders, monkeypatch):
        journal = FolderJournal(*folders, "a")
        journal.append(events(1))
        real = os.write

        def half_then_full_disk(descriptor: int, data: bytes) -> int:
            monkeypatch.setattr(os, "write", _no_space)
            return real(descriptor, data[:10])

        monkeypatch.setattr(os, "write", half_then_full_disk)
        with pytest.raises(StorageError, match="No space left"):
            journal.append(events(1, 1))
        monkeypatch.setattr(os, "write", real)
        journal.append(events(1, 2))
        assert sorted(path.name for path in folders[1].iterdir()) == ["a.2.jsonl", "a.jsonl"]
        assert [(e["n"], e["w"]) for e in FolderJournal(*folders).read_new()] == [(2, "a"), (0, "a")]

    def test_a_worker_never_appends_to_a_file_it_did_not_open(self, folders):
        FolderJournal(*folders, "a").append(events(1))
        with pytest.raises(StorageError):
            FolderJournal(*folders, "a").append(events(1, 1))

    def test_an_unwritable_folder_is_one_sentence(self, folders):
        folders[0].rmdir()
        with pytest.raises(StorageError, match=r"cannot write to .*claims: No such file"):
            FolderJournal(*folders, "a").claim("1.1")


def _no_space(descriptor: int, data: bytes) -> int:
    raise OSError(28, "No space left on device")


class TestFirstUnclaimed:
    @given(count=st.integers(0, 40), start=st.integers(0, 40))
    def test_it_is_the_end_of_what_was_claimed_in_order(self, tmp_path_factory, count, start):
        base = tmp_path_factory.mktemp("claims")
        journal = FolderJournal(base, base, "a")
        for n in range(count):
            journal.claim(f"{n}.1")
        assert journal.first_unclaimed(start) == max(start, count)
