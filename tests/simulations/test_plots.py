"""Plots are drawn from what was measured, and only from that."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from histories import scores, small
from matplotlib.colors import to_hex

from p2pl_flower.history import Elapsed, History, Round, Run, Spread
from simulations import plots
from simulations.graph_plot import graph


def test_files_are_images_of_the_expected_size(tmp_path):
    files = plots.draw(small(), tmp_path)
    assert list(files) == [
        "Accuracy by round",
        "Accuracy by bytes sent",
        "Consensus distance",
        "The graph",
    ]
    for title, file in files.items():
        content = file.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        width = 720 if title == "The graph" else 1008  # a graph is about as wide as high
        assert struct.unpack(">II", content[16:24]) == (width, 604)
        assert len(content) > 10_000


def test_nothing_measured_is_nothing_drawn(tmp_path):
    assert plots.draw(History({}, {}), tmp_path) == {}
    unscored = Run("p2pl", "flower", 0, 4, {}, [Round(1), Round(2)])
    assert plots.draw(History({}, {}, [unscored]), tmp_path) == {}
    assert not list(tmp_path.iterdir())


def lines(figure):
    return {line.get_label(): line.get_xydata().tolist() for line in figure.axes[0].lines}


def test_accuracy():
    figure = plots.accuracy(small())
    found = lines(figure)
    assert found["p2pl"] == [[1, 0.5], [2, 0.91234]]
    assert found["local"] == [[1, 0.25]]
    assert [[1, 0.4], [2, 0.8]] in found.values()
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in band} >= {(1, 0.4), (1, 0.6), (2, 0.9), (2, 0.95)}


def test_accuracy_by_simulated_time():
    history = small()
    assert plots.accuracy_by_time(history) is None
    p2pl, _ = history.runs
    p2pl.setup = {**p2pl.setup, "clock_seconds": 0.5}
    for measured, seconds in zip(p2pl.rounds, (2.0, 90.0, 3.0), strict=True):
        measured.clock = Elapsed(seconds, Spread(1, 1, 1, 0), Spread(0, 0, 0, 0))
    assert lines(plots.accuracy_by_time(history)) == {"p2pl": [[2.5, 0.5], [92.5, 0.91234]]}
    shown = [plots.human_seconds(s) for s in (None, 0.0123, 90.0, 3600.0, 7200.0, 2e5)]
    assert shown == ["-", "0.0123 s", "90 s", "60 min", "2 h", "2.31 d"]


def test_what_was_not_scored_after_training_is_not_in_the_legend():
    history = small()
    for run in history.runs:
        for measured in run.rounds:
            measured.after_training = None
    assert "after training" in lines(plots.accuracy(small()))
    assert "after training" not in lines(plots.accuracy(history))


def test_accuracy_by_bytes_counts_the_start():
    found = lines(plots.accuracy_by_bytes(small()))
    assert found["p2pl"] == [[1500, 0.5], [3500, 0.91234]]
    assert [y for _, y in found["local (sends none)"]] == [0.25, 0.25]


def test_accuracy_by_bytes_stops_where_bytes_are_unknown():
    history = small()
    history.runs[0].rounds[1].bytes_sent = None
    assert lines(plots.accuracy_by_bytes(history))["p2pl"] == [[1500, 0.5]]


def test_consensus_distance():
    assert lines(plots.consensus_distance(small())) == {"p2pl": [[1, 2.0], [2, 0.5]]}


def test_a_distance_of_zero_has_no_place_on_a_logarithmic_axis():
    history = small()
    for entry in history.runs[0].rounds:
        entry.consensus_distance = 0.0
    assert plots.consensus_distance(history) is None


def test_labels_tell_what_differs():
    assert plots.labels(small()) == ["p2pl", "local"]
    runs = [Run("p2pl", "flower", 0, 4), Run("p2pl", "swarm", 0, 4), Run("centralized", "x", 0, 1)]
    assert plots.labels(History({}, {}, runs)) == ["p2pl, flower", "p2pl, swarm", "centralized, x"]
    runs = [Run("p2pl", "flower", 0, 4), Run("p2pl", "flower", 1, 8)]
    expected = ["p2pl, seed 0, 4 devices", "p2pl, seed 1, 8 devices"]
    assert plots.labels(History({}, {}, runs)) == expected


def test_a_second_run_of_a_contender_has_its_color_and_another_line():
    history = small()
    again = Run("p2pl", "flower", 4, 4, {}, [Round(1, None, scores(0.3, 0.2, 0.4))])
    history.runs.append(again)
    one, two = (
        line
        for line in plots.accuracy(history).axes[0].lines
        if line.get_label().startswith("p2pl")
    )
    assert one.get_color() == two.get_color() == plots.color("p2pl")
    assert one.get_linestyle() != two.get_linestyle()


def test_every_contender_has_a_color_of_its_own():
    files = (Path(__file__).parents[2] / "strategies").glob("*.py")
    contenders = {file.stem for file in files} - {"__init__", "base"}
    colors = [to_hex(plots.color(name)) for name in contenders]
    assert len(set(colors)) == len(colors)
    assert plots.color("something else") == plots.color("something else") not in colors
    one, other = "p2pl-affinity:strength=0.5", "p2pl-affinity:strength=0.25"
    assert plots.color(one) == plots.color(other) == plots.color("p2pl-affinity")


@pytest.mark.parametrize(
    ("topology", "links"),
    [("ring", 4), ("star", 3), ("complete", 6), ("random-matchings", 2), ("path", 3)],
)
def test_graph(topology, links):
    figure = graph(History({"topology": topology, "num-devices": 4}, {}, small().runs))
    edges, nodes = figure.axes[0].collections
    assert len(edges.get_segments()) == links
    assert len(nodes.get_offsets()) == 4
    assert f"{topology}: 4 devices, {links} links" in figure.axes[0].get_title()


def test_graph_where_devices_have_places():
    scenario = {"topology": "random-geometric:radius=0.9", "num-devices": 0, "seed": 1}
    figure = graph(History(scenario, {}, small().runs))
    places = np.asarray(figure.axes[0].collections[1].get_offsets())
    assert places.shape == (4, 2)
    assert (places >= 0).all()
    assert (places <= 1).all()
