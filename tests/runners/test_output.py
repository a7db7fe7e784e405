"""What is kept of output and reports, whatever pieces they come in."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.runners.command import filled
from hpo.runners.output import OutputFile, shorten
from hpo.runners.reports import ReportTail

LIMIT = 4096
MARK = re.compile(rb"\n\[hpo: (\d+) bytes of output were dropped here; max_output = 4096\]\n")


@given(st.lists(st.integers(0, 3000)), st.booleans())
def test_head_and_tail_are_kept_in_order_and_the_rest_is_counted(sizes: list[int], afterwards: bool) -> None:
    whole = b"".join(b"%07d\n" % n for n in range(sum(sizes) // 8 + 1))[: sum(sizes)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "output"
        if afterwards:
            path.write_bytes(whole)
            shorten(path, LIMIT)
        else:
            write_in_pieces(path, whole, sizes)
        kept = path.read_bytes()
        assert [file.name for file in Path(folder).iterdir()] == ["output"]
    assert len(kept) <= LIMIT + 100
    mark = MARK.search(kept)
    if mark is None:
        assert kept == whole
    else:
        assert whole.startswith(kept[: mark.start()])
        assert whole.endswith(kept[mark.end() :])
        assert len(kept) - len(mark[0]) + int(mark[1]) == len(whole)


def write_in_pieces(path: Path, whole: bytes, sizes: list[int]) -> None:
    output = OutputFile(path, LIMIT)
    begin = 0
    for size in sizes:
        output.write(whole[begin : begin + size])
        begin += size
    assert output.close() is None


def test_live_output_is_on_our_own_too(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output = OutputFile(tmp_path / "output", LIMIT, live=True)
    output.write(b"epoch 1\r\xff")
    assert capfdbinary.readouterr().out == b"epoch 1\r\xff"
    output.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="optional: only Linux has a device that is always full")
def test_a_full_disk_is_told_and_blocks_nobody() -> None:
    output = OutputFile(Path("/dev/full"), LIMIT)
    for _ in range(3):
        output.write(b"x" * 100_000)
    error = output.close()
    assert error is not None
    assert error.strerror == "No space left on device"


REPORTS = st.lists(st.tuples(st.integers(0, 10**9), st.floats(allow_nan=False)))


@given(REPORTS, st.integers(1, 50), st.booleans())
def test_reports_arrive_whole_however_they_are_written(
    reports: list[tuple[int, float]], size: int, as_json: bool
) -> None:
    line = '{{"step": {}, "value": {!r}}}\n' if as_json else "{} {!r}\n"
    data = "".join(line.format(step, value) for step, value in reports).replace("inf", "Infinity").encode()
    seen: list[tuple[int, float]] = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "reports"
        tail = ReportTail(path, lambda step, value: seen.append((step, value)))
        for begin in range(0, len(data), size):
            with path.open("ab") as file:
                file.write(data[begin : begin + size])
            tail.read()
        tail.finish()
    assert seen == reports
    assert tail.skipped == 0


@given(st.binary())
def test_no_report_file_is_a_mistake_of_ours(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "reports"
        path.write_bytes(data)
        ReportTail(path, lambda step, value: None).finish()


@pytest.mark.parametrize(
    ("line", "report"),
    [
        ("3 0.25", (3, 0.25)),
        (" 3\t1e-5 ", (3, 1e-5)),
        ("1e+05 -2", (100_000, -2.0)),
        ("3.0 1", (3, 1.0)),
        ('{"value": 1, "step": 2, "more": []}', (2, 1.0)),
        ("3.5 1", None),
        ("3", None),
        ("3 low", None),
        ("3 1 2", None),
        ('{"step": 1}', None),
        ("inf 1", None),
        ('{"step": null, "value": 1}', None),
        ("[1, 2]", None),
    ],
)
def test_what_a_line_may_be(tmp_path: Path, line: str, report: tuple[int, float] | None) -> None:
    seen: list[tuple[int, float]] = []
    (tmp_path / "reports").write_text(line)
    tail = ReportTail(tmp_path / "reports", lambda step, value: seen.append((step, value)))
    tail.finish()
    assert seen == ([] if report is None else [report])
    assert tail.skipped == (report is None)


@given(st.text())
def test_no_value_leaves_its_word(value: str) -> None:
    assert filled("run --name {name} 'and {name}'", {"name": value}) == ["run", "--name", value, f"and {value}"]
