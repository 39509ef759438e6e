"""Who may import what: read from the imports themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "p2pl_flower"

FILES = sorted(LIBRARY.rglob("*.py"))


def module_of(path: Path) -> str:
    """Return the module of a file, as ``p2pl_flower.relay.base``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def imported(path: Path) -> Iterator[str]:
    """Return the modules that a file imports, wherever in it, but for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    package = module_of(path).split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if inner in MODULES else module


def room_of(module: str) -> str:
    """Return the folder or file at the library's top that a module lies in."""
    return module.split(".")[1] if "." in module else ""


def rooms() -> nx.DiGraph:
    """Return the library's rooms, with an arrow from each to those that it imports."""
    graph = nx.DiGraph()
    for path in FILES:
        graph.add_node(room_of(module_of(path)))
        for module in imported(path):
            if module in MODULES:
                graph.add_edge(room_of(module_of(path)), room_of(module))
    graph.remove_nodes_from([""])  # the package's own face hands names on
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    return graph


ALLOWED = {
    "flwr": ("flower", "serverless"),
    "torch": ("swarm",),
    "grpc": ("relay",),
    "ray": ("relay", "swarm"),
}


@pytest.mark.parametrize("library", ALLOWED)
def test_a_library_is_imported_in_its_rooms_only(library: str) -> None:
    users = {
        room_of(module_of(path))
        for path in FILES
        for module in imported(path)
        if module.split(".")[0] == library
    }
    assert users <= set(ALLOWED[library])
    assert users  # else this looks for nothing


FLOORS = (
    ("commands", "cli", "__main__"),
    ("flower", "serverless", "swarm", "doctor"),
    ("device",),
    ("relay", "options"),
    ("algorithms", "topology", "links", "weights", "sharing"),
)
"""From the top down: a room imports none of those above it."""


def test_nothing_points_back_up() -> None:
    floor = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    lowest = len(FLOORS)
    back = [(a, b) for a, b in rooms().edges if floor.get(b, lowest) < floor.get(a, lowest)]
    assert not back


def test_there_is_no_circle() -> None:
    assert not list(nx.simple_cycles(rooms()))


def test_the_house_stays_small() -> None:
    graph = rooms()
    assert len([path for path in LIBRARY.iterdir() if path.suffix == ".py"]) <= 15
    assert graph.number_of_nodes() <= 24, sorted(graph)
    assert graph.number_of_edges() <= 80, graph.number_of_edges()


def test_the_library_imports_neither_strategies_nor_simulations() -> None:
    for folder, others in (
        ("p2pl_flower", {"strategies", "simulations"}),
        ("strategies", {"simulations"}),
    ):
        for path in (ROOT / folder).rglob("*.py"):
            assert not {module.split(".")[0] for module in imported(path)} & others, path


def test_private_imports_of_flwr_are_in_one_file() -> None:
    public = ("flwr.app", "flwr.clientapp", "flwr.serverapp", "flwr.simulation")
    for folder in ("p2pl_flower", "strategies", "simulations"):
        for path in (ROOT / folder).rglob("*.py"):
            used = [m for m in imported(path) if m.split(".")[0] == "flwr"]
            private = [m for m in used if not m.startswith(public)]
            assert not private or path.name == "_compat.py", (path, private)
