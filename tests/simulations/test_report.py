"""Numbers and files of a report, from a history made by hand."""

from __future__ import annotations

import pytest
from histories import small

from p2pl_flower.history import History, Round, Run
from simulations import plots, report


def cells(text: str) -> list[list[str]]:
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]


def test_numbers():
    header, _, p2pl, local = cells(report.table(small()))
    assert dict(zip(header, p2pl, strict=True)) == {
        "contender": "p2pl",
        "accuracy": "91.23",
        "worst device": "90.00",
        "best device": "95.00",
        "std": "1.00",
        "after training": "80.00",
        "rounds": "3",
        "sent in all": "6.5 kB",
        "busiest node/round": "600 B",
        "server/round": "80 B",
        "s/round": "2.5",
    }
    assert local == ["local", "25.00", "20.00", "30.00", "1.00", "-", "1", "0 B", "-", "-", "-"]


def test_columns_are_aligned_on_a_terminal():
    lines = report.table(small()).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len({tuple(i for i, c in enumerate(line) if c == "|") for line in lines}) == 1
    assert lines[1].startswith("| --------- | -------: |")


def test_what_was_spent_of_privacy_has_a_column():
    history = small()
    assert "epsilon" not in report.table(history)
    history.runs[0].rounds[-1].epsilon = 3.14159
    header, _, private, local = report.table(history).splitlines()
    assert [line.split("|")[-2].strip() for line in (header, private, local)] == [
        "epsilon",
        "3.14",
        "-",
    ]


def test_nothing_was_measured():
    history = History(
        {}, {}, [Run("p2pl", "flower", 0, 4, {}, [Round(1)]), Run("x", "flower", 0, 1)]
    )
    _, _, one, none = cells(report.table(history))
    assert one == ["p2pl", "-", "-", "-", "-", "-", "1", "-", "-", "-", "-"]
    assert none == ["x", "-", "-", "-", "-", "-", "0", "-", "-", "-", "-"]
    assert len(cells(report.table(History({}, {})))) == 2


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (79_684, "79.7 kB"),
        (999_600, "1 MB"),
        (1.594e9, "1.59 GB"),
        (5e15, "5e+03 TB"),
        (None, "-"),
    ],
)
def test_human_bytes(count, text):
    assert plots.human_bytes(count) == text


def test_write(tmp_path):
    folder = tmp_path / "deep" / "result"
    report.write(small(), folder)
    assert [p.name for p in folder.parent.iterdir()] == ["result"]
    assert sorted(p.name for p in folder.iterdir()) == [
        "accuracy-by-bytes.png",
        "accuracy.png",
        "consensus-distance.png",
        "graph.png",
        "history.json",
        "report.html",
        "report.md",
    ]
    again = History.load(folder / "history.json")
    assert again == small()
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert report.table(again) in text
    for image in folder.glob("*.png"):
        assert f"]({image.name})" in text
    assert "| topology | ring |" in text
    assert "| weights | a\\|b |" in text
    assert "| python | 3.11.0 |" in text


def test_write_again_keeps_other_files(tmp_path):
    report.write(small(), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "report.md").write_text("old")
    report.write(small(), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "report.md").read_text().startswith("# Results")


def test_a_failure_leaves_the_old_report_whole(tmp_path, monkeypatch):
    folder = tmp_path / "result"
    report.write(small(), folder)
    before = {file: file.read_bytes() for file in folder.iterdir()}

    def fail(history, folder):
        (folder / "accuracy.png").write_text("half")
        raise RuntimeError("stop")

    monkeypatch.setattr(plots, "draw", fail)
    with pytest.raises(RuntimeError, match="stop"):
        report.write(History({}, {}), folder)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["result"]


def test_how_much_one_image_is(tmp_path):
    history = small()
    assert report.resolution(history) == ""  # nothing says how many there were
    history.environment = {**history.environment, report.IMAGES: 355}
    line = "Models are scored on 355 images: each is 0.28 points.\n"
    assert report.resolution(history) == line
    assert line in report.markdown(history, {})
