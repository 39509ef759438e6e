"""Of a strategy's arguments FedAvg's own go; those of P2PL and of the user stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_projects import CLIENT, found, lines, new, server

PASSES = """
class Own(FedAvg):
    def __init__(self, patience, *args, beta=0.9, **kwargs):
        super().__init__(*args, **kwargs)
        self.patience = patience
"""
OWN = """
class Own(FedAvg):
    def __init__(self, fraction_train, lr, min_nodes=2):
        super().__init__(fraction_train=fraction_train, min_available_nodes=min_nodes)
        self.lr = lr
"""


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("FedAvg()", "P2PL()"),
        ("FedAvg(fraction_train=0.5)", "P2PL()"),
        ("FedAvg(0.5, 1.0, 2, 2, 7)", "P2PL(min_available_nodes=7)"),
        ("FedAvg(0.5, min_available_nodes=2)", "P2PL(min_available_nodes=2)"),
        (
            "FedAvg(weighted_by_key='n', min_train_nodes=2, arrayrecord_key='a')",
            "P2PL(weighted_by_key='n', arrayrecord_key='a')",
        ),
        ("FedAvg(fraction_evaluate=0.0)", "P2PL(evaluate_every=0)"),
        ("FedAvg(fraction_train=0.1, fraction_evaluate=0)", "P2PL(evaluate_every=0)"),
        ("FedAvg(1.0, 0.0)", "P2PL(evaluate_every=0)"),
        ("FedAvg(0.1, 0.2)", "P2PL(fraction_evaluate=0.2)"),
        ("FedAvg(fraction_train=1, fraction_evaluate=1.0)", "P2PL()"),
        (
            "FedAvg(fraction_evaluate=context.run_config['fraction'])",
            "P2PL(fraction_evaluate=context.run_config['fraction'])",
        ),
        (
            "FedAvg(fraction_evaluate=context.run_config['never'])",
            "P2PL(evaluate_every=int(context.run_config['never'] > 0))",
        ),
        (
            "FedAvg(fraction_evaluate=1 - unknown)",
            "P2PL(evaluate_every=int((1 - unknown) > 0))",
        ),
        ("FedAvgM(server_momentum=0.9, configrecord_key='c')", "P2PL(configrecord_key='c')"),
        ("partial(FedAvg, fraction_train=0.5)()", "partial(P2PL)()"),
    ],
)
def test_arguments(made: str, expected: str, tmp_path: Path) -> None:
    text = "from functools import partial\n" + server(made, imports="FedAvg, FedAvgM")
    assert lines(new(tmp_path, {"server.py": text}), "strategy = ") == [f"strategy = {expected}"]


def test_the_users_lines_and_comments_stay(tmp_path: Path) -> None:
    made = """FedAvg(
        # half of them
        fraction_train=0.5,  # sampled
        min_available_nodes=3,  # wait for three

        train_metrics_aggr_fn=mean,
        fraction_evaluate=0.0
    )"""
    changed = new(tmp_path, {"server.py": server(made)})
    assert changed.partition("strategy = ")[2].startswith(
        """P2PL(
        min_available_nodes=3,  # wait for three

        train_metrics_aggr_fn=mean,
        evaluate_every=0
    )
"""
    )


@pytest.mark.parametrize(
    ("classes", "made", "expected"),
    [
        ("class Own(FedAvg): ...", "Own(fraction_train=0.5)", "Own()"),
        (PASSES, "Own(3, fraction_train=0.5, beta=0.1)", "Own(3, beta=0.1)"),
        (PASSES, "Own(3, 0.5, 0.0)", "Own(3, evaluate_every=0)"),
        (PASSES, "Own(patience=3, fraction_evaluate=0.0)", "Own(patience=3, evaluate_every=0)"),
        (OWN, "Own(0.5, lr=0.1)", "Own(0.5, lr=0.1)"),
        (PASSES + "class Last(Own): ...", "Last(3, min_train_nodes=4)", "Last(3)"),
        (
            "class Own(FedAvg):\n    def __init__(self, **options):\n"
            "        self.eta = options.pop('eta')\n        super().__init__(**options)",
            "Own(eta=0.1, fraction_train=1.0)",
            "Own(eta=0.1)",
        ),
    ],
)
def test_arguments_of_classes(classes: str, made: str, expected: str, tmp_path: Path) -> None:
    changed = new(tmp_path, {"server.py": server(made, classes)})
    assert lines(changed, "strategy = ") == [f"strategy = {expected}"]
    assert "(P2PL)" in changed


@pytest.mark.parametrize(
    ("handed_on", "expected"),
    [
        (
            "super().__init__(fraction_train=f, min_available_nodes=2)",
            "super().__init__(min_available_nodes=2)",
        ),
        ("super(Own, self).__init__(f, 0.0)", "super(Own, self).__init__(evaluate_every=0)"),
        ("FedAvg.__init__(self, fraction_train=f)", "P2PL.__init__(self)"),
        (
            "FedAvg.__init__(self, f, weighted_by_key='n')",
            "P2PL.__init__(self, weighted_by_key='n')",
        ),
    ],
)
def test_what_a_class_hands_on_to_fedavg(handed_on: str, expected: str, tmp_path: Path) -> None:
    classes = f"class Own(FedAvg):\n    def __init__(self, f):\n        {handed_on}\n"
    changed = new(tmp_path, {"server.py": server("Own(0.5)", classes)})
    assert lines(changed, "__init__(", "strategy = ")[1:] == [expected, "strategy = Own(0.5)"]


@pytest.mark.parametrize(
    ("before", "made", "after"),
    [
        (
            "o = {'fraction_train': 1, 'min_available_nodes': 2}",
            "FedAvg(**o)",
            "o = {'min_available_nodes': 2}",
        ),
        (
            "o = dict(fraction_train=1, fraction_evaluate=0)",
            "FedAvg(**o)",
            "o = dict(evaluate_every=0)",
        ),
        ("o = {'fraction_evaluate': 0.0}", "FedAvg(**o)", 'o = {"evaluate_every": 0}'),
        (
            "o = {'fraction_evaluate': 0.3}\n    o['fraction_evaluate'] = 0.4",
            "FedAvg(**o)",
            "o = {'fraction_evaluate': 0.3}\n    o['fraction_evaluate'] = 0.4",
        ),
        ("o = {'eta': 1, 'fraction_evaluate': 1.0}", "FedAdam(**o)", "o = {}"),
        ("o = dict(lr=1, min_train_nodes=3)", "Own(**o)", "o = dict(lr=1)"),
        (
            "o = {}\n    if a:\n        o['eta'] = 1",
            "FedAdam(**o)",
            "o = {}\n    if a:\n        pass",
        ),
        ("o = {}\n    o['eta'] = 1", "FedAdam(**o)", "o = {}"),
        (
            "o = {}\n    o.update(eta=1, weighted_by_key='n')",
            "FedAdam(**o)",
            "o = {}\n    o.update(weighted_by_key='n')",
        ),
        (
            "o = {}\n    o['fraction_evaluate'] = 0",
            "FedAvg(**o)",
            'o = {}\n    o["evaluate_every"] = 0',
        ),
        (
            "a = {'fraction_train': 1, 'on_round': 2}\n    o = {**a, 'eta': 1, 'seed': 3}",
            "FedAdam(**o)",
            "a = {'on_round': 2}\n    o = {**a, 'seed': 3}",
        ),
        (
            "a, b = {'eta': 1}, dict(seed=2)\n    o = a | b\n    o |= {'fraction_train': 1}",
            "FedAdam(**o)",
            "a, b = {}, dict(seed=2)\n    o = a | b\n    o |= {}",
        ),
        (
            "a = {'eta': 1}\n    o = dict(a, fraction_evaluate=0, seed=1)",
            "FedAdam(**o)",
            "a = {}\n    o = dict(a, evaluate_every=0, seed=1)",
        ),
        (
            "a = {'eta': 1}\n    b = {'beta_1': 1, 'seed': 1}\n    o = a if c else b",
            "FedAdam(**o)",
            "a = {}\n    b = {'seed': 1}\n    o = a if c else b",
        ),
        ("pass", "FedAvg(**{'fraction_train': 1, 'seed': 2})", "pass"),
    ],
)
def test_tables_of_arguments(before: str, made: str, after: str, tmp_path: Path) -> None:
    classes = (
        "class Own(FedAvg):\n    def __init__(self, lr, **o):\n        super().__init__(**o)\n"
    )
    text = server(made, classes, "FedAvg, FedAdam")
    text = text.replace("    strategy = ", f"    {before}\n    strategy = ")
    made = made.replace("FedAvg", "P2PL").replace("FedAdam", "P2PL")
    made = made.replace("'fraction_train': 1, ", "")
    assert f"    {after}\n    strategy = {made}\n" in new(tmp_path, {"server.py": text})


@pytest.mark.parametrize(
    ("before", "made"),
    [
        ("o = load()", "FedAvg(**o)"),
        ("o = {'fraction_train': 1}; print(o)", "FedAvg(**o)"),
        ("o = {}; o['eta'] = 1", "FedAdam(**o)"),
        ("o = {'fraction_train': 1, **more}", "FedAvg(**o)"),
        ("o = {'fraction_train': 1, **load()}", "FedAvg(**o)"),
        ("o = {'fraction_train': 1} | load()", "FedAvg(**o)"),
        ("o = {'fraction_evaluate': 0.0}", "FedAvg(**{**o, 'fraction_evaluate': 0.5})"),
        ("o = {'eta': 1}; q = {**o}; print(o)", "FedAdam(**q)"),
        ("o = [('eta', 1)]", "FedAdam(**dict(o))"),
        ("o = {'eta': 1}\n    Own(**o)", "FedAdam(**o)"),
        ("o = {'eta': 1}\n    for o in all: pass", "FedAdam(**o)"),
        ("o = [1.0]", "FedAvg(*o)"),
    ],
)
def test_arguments_that_cannot_be_seen(before: str, made: str, tmp_path: Path) -> None:
    own = "class Own(FedAvg):\n    def __init__(self, eta):\n        super().__init__()\n"
    text = server(made, own, imports="FedAvg, FedAdam")
    text = text.replace("    strategy = ", f"    {before}\n    strategy = ")
    [refused, *_] = found(tmp_path, {"server.py": text}).refused
    assert "cannot tell which arguments are in" in str(refused)
    assert "write them out" in str(refused)


def test_arguments_that_a_class_puts_in_by_name(tmp_path: Path) -> None:
    classes = """
    class Own(FedAvg):
        def __init__(self, **options):
            options["min_train_nodes"] = 3
            super().__init__(**options)
    """
    [refused] = found(tmp_path, {"server.py": server("Own()", classes)}).refused
    assert "'min_train_nodes' is put into options by name" in str(refused)


def test_where_nothing_evaluates_there_is_nothing_to_turn_off(tmp_path: Path) -> None:
    client = CLIENT.partition("@app.evaluate()")[0]
    files = {"client.py": client, "server.py": server("FedAvg(fraction_evaluate=cfg.x)")}
    assert "strategy = P2PL()" in new(tmp_path, files)


def test_what_has_no_counterpart_is_noted(tmp_path: Path) -> None:
    made = "FedAvg(fraction_train=0.5, fraction_evaluate=1.0, min_train_nodes=2)"
    [note] = found(tmp_path, {"server.py": server(made)}).notes
    assert str(note) == (
        "app/server.py:9: fraction_train: P2PL has no such argument; all devices that are there "
        "train"
    )


PROX = """\
from flwr.app import ConfigRecord
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedProx
app = ServerApp()
def main(grid, context):
    strategy = FedProx(fraction_train=0.5, proximal_mu=mu)
    strategy.start(grid=grid, initial_arrays=arrays)
"""
READS = CLIENT.replace(
    "    ...\n\n\n@app.ev", "    message.content['c']['proximal-mu']\n\n\n@app.ev"
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ', train_config=ConfigRecord({"proximal-mu": mu})'),
        (
            ", train_config=ConfigRecord({'lr': 0.1})",
            ", train_config=ConfigRecord({\"proximal-mu\": mu, 'lr': 0.1})",
        ),
        (
            ",\n        num_rounds=3,\n    ",
            ",\n        num_rounds=3,\n        "
            'train_config=ConfigRecord({"proximal-mu": mu})\n    ',
        ),
    ],
)
def test_fedprox_puts_its_number_into_train_config(
    given: str, expected: str, tmp_path: Path
) -> None:
    text = PROX.replace("=arrays)", f"=arrays{given})")
    changed = new(tmp_path, {"server.py": text, "client.py": READS})
    assert "strategy = P2PL()" in changed
    assert f"initial_arrays=arrays{expected})" in changed


def test_fedprox_whose_number_cannot_be_put_there(tmp_path: Path) -> None:
    text = PROX.replace("=arrays)", "=arrays, train_config=config)")
    [refused] = found(tmp_path / "reads", {"server.py": text, "client.py": READS}).refused
    assert "put it into train_config yourself, the devices read it" in str(refused)
    [lost] = found(tmp_path / "not", {"server.py": text}).lost
    assert "FedProx: P2PL does not put 'proximal-mu' into the config" in str(lost)


def test_a_record_that_is_not_imported_yet(tmp_path: Path) -> None:
    text = PROX.replace("from flwr.app import ConfigRecord\n", "")
    assert "\nfrom flwr.app import ConfigRecord\n" in new(tmp_path, {"server.py": text})


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            "FedAvg(fraction_train=1,  # gone\n        # why\n        seed=2)",
            "P2PL(\n        # why\n        seed=2)",
        ),
        ("FedAvg(fraction_train=1,\n        seed=2)", "P2PL(seed=2)"),
        (
            "FedAvg(seed=2,  # why\n        fraction_train=1)",
            "P2PL(seed=2,  # why\n        )",
        ),
        (
            "FedAvg(seed=2,  # why\n        fraction_train=1, min_train_nodes=2)",
            "P2PL(seed=2,  # why\n        )",
        ),
    ],
)
def test_comments_of_what_stays_stay(made: str, expected: str, tmp_path: Path) -> None:
    for newline in ("\n", "\r\n"):
        text = server(made).replace("\n", newline)
        changed = new(tmp_path / str(len(newline)), {"server.py": text})
        assert expected.replace("\n", newline) in changed
        compile(changed, "server.py", "exec")


def test_tables_of_the_same_name_in_two_functions(tmp_path: Path) -> None:
    text = server("FedAvg(**o)", "def other():\n    o = {'eta': 1}\n    return FedAdam(**o)\n")
    text = text.replace("FedAvg\n", "FedAdam, FedAvg\n", 1)
    text = text.replace("    strategy = ", "    o = {'fraction_train': 1}\n    strategy = ")
    assert lines(new(tmp_path, {"server.py": text}), "o = ") == ["o = {}", "o = {}"]
