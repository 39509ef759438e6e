"""Strategy classes of the user's, and Flower's own: each is judged by what it does."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_projects import SERVER, found, lines, new, server

SCHEDULE = """
class Mine(FedAvg):
    def configure_train(self, server_round, arrays, config, grid):
        config["lr"] = 0.1 / server_round
        return super().configure_train(server_round, arrays, config, grid)
"""
STARTS = """
class Mine(FedAvg):
    def start(self, grid, initial_arrays, num_rounds=3, timeout=3600.0, **more):
        for r in range(num_rounds):
            sent = self.configure_train(r, initial_arrays, c, grid)
            _, metrics = self.aggregate_train(r, grid.send_and_receive(sent))
            sent = self.configure_evaluate(r, initial_arrays, c, grid)
            self.aggregate_evaluate(r, grid.send_and_receive(sent))
        return Result()
"""
FILTERS = """
class Mine(FedAvg):
    def aggregate_train(self, server_round, replies):
        kept = [r for r in replies if r.has_content() and r.content["config"]["trained"]]
        return super().aggregate_train(server_round, kept)

    def aggregate_evaluate(self, server_round, replies):
        return MetricRecord({"worst": min(r.content["metrics"]["loss"] for r in replies)})
"""
GUARDED = """
class Mine(FedAvg):
    def aggregate_train(self, server_round, replies):
        arrays, metrics = super().aggregate_train(server_round, replies)
        {}
        return arrays, metrics
"""


INDIRECT = """
class Mine(FedAvg):
    def configure_train(self, server_round, arrays, config, grid):
        return self.messages(server_round, arrays, config, grid)

    def messages(self, *given):
        return super().configure_train(*given)
"""


NOT_SCORED = """
class Mine(FedAvg):
    def configure_evaluate(self, server_round, arrays, config, grid):
        if server_round % 5:
            return []
        return super().configure_evaluate(server_round, arrays, config, grid)
"""
NEVER_SCORED = """
class Mine(FedAvg):
    def configure_evaluate(self, server_round, arrays, config, grid):
        return []
"""


@pytest.mark.parametrize("classes", [SCHEDULE, STARTS, FILTERS, INDIRECT, NOT_SCORED, NEVER_SCORED])
def test_classes_that_go_on_working(classes: str, tmp_path: Path) -> None:
    findings = found(tmp_path, {"server.py": server("Mine()", classes, "FedAvg, Result")})
    assert (findings.refused, findings.lost) == ([], [])
    text = next(c.new for c in findings.changed if c.path.name == "server.py")
    assert lines(text, "class ") == ["class Mine(P2PL):"]
    assert "strategy = Mine()" in text


def test_a_class_in_another_file_is_followed(tmp_path: Path) -> None:
    base = "import flwr\nclass Base(flwr.serverapp.strategy.FedAvg):\n    ...\n"
    files = {
        "server.py": SERVER.replace(
            "flwr.serverapp.strategy import FedAvg", "app import Mine"
        ).replace("FedAvg()", "Mine(fraction_train=0.1, fraction_evaluate=0.0)"),
        "__init__.py": "from .strategies import Mine\n",
        "strategies.py": "from .base import Base as Above\nclass Mine(Above):\n    ...\n",
        "base.py": base,
    }
    findings = found(tmp_path, files)
    texts = {c.path.name: c.new for c in findings.changed}
    assert sorted(texts) == ["base.py", "client.py", "server.py"]
    assert "from p2pl_flower import P2PL\nclass Base(P2PL):" in texts["base.py"]
    assert "import flwr\n" not in texts["base.py"]
    assert "    strategy = Mine(evaluate_every=0)\n" in texts["server.py"]


def test_a_mixin_is_judged_with_the_class_that_uses_it(tmp_path: Path) -> None:
    mixin = SCHEDULE.replace("class Mine(FedAvg)", "class Mixin")
    both = f"{mixin}\nclass Mine(Mixin, FedAvg): ...\n"
    assert "class Mine(Mixin, P2PL): ..." in new(tmp_path, {"server.py": server("Mine()", both)})
    broken = both.replace("return super()", "return Other()")
    [refused] = found(tmp_path / "b", {"server.py": server("Mine()", broken)}).refused
    assert "configure_train of Mixin does not call super().configure_train" in str(refused)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (
            "configure_train(self, r, arrays, config, grid):\n        return [Message()]",
            "configure_train of Mine does not call super().configure_train: there P2PL tells each",
        ),
        (
            "configure_evaluate(self, r, arrays, config, grid):\n        return [Message()]",
            "configure_evaluate of Mine sends messages of its own, without super()",
        ),
        (
            "start(self, grid, initial_arrays):\n        return grid.send_and_receive([])",
            "start of Mine neither calls super().start nor self.configure_train: nothing",
        ),
        (
            "aggregate_train(self, r, replies):\n"
            "        return sum(m.content['arrays']['w'].numpy() for m in replies), None",
            "aggregate_train of Mine takes models out of messages, and with P2PL none is in them",
        ),
        (
            "aggregate_train(self, r, replies):\n"
            "        return next(iter(replies[0].content.array_records.values())), None",
            "aggregate_train of Mine takes models out of messages",
        ),
        (
            "aggregate_train(self, r, replies):\n"
            "        return aggregate_arrayrecords([m.content for m in replies], 'n'), None",
            "aggregate_train of Mine takes models out of messages",
        ),
        (
            "aggregate_train(self, r, replies):\n        return mean_of(replies), None",
            "aggregate_train of Mine takes models out of messages",
        ),
        (
            "aggregate_evaluate(self, r, replies):\n        log(self.min_evaluate_nodes)",
            "aggregate_evaluate of Mine reads self.min_evaluate_nodes, which only Flower's",
        ),
        (
            "aggregate_evaluate(self, r, replies):\n"
            "        good, bad = self._check_and_log_replies(replies, False)",
            "super().aggregate_train and super().aggregate_evaluate check replies and log failures",
        ),
    ],
)
def test_classes_that_would_not_work(method: str, words: str, tmp_path: Path) -> None:
    classes = (
        "from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords\n"
        "def mean_of(replies):\n    return [m.content.array_records['a'] for m in replies]\n"
        f"class Mine(FedAvg):\n    def {method}\n"
    )
    findings = found(tmp_path, {"server.py": server("Mine()", classes)})
    assert len(findings.refused) == 1
    assert words in str(findings.refused[0])
    assert findings.changed == []


@pytest.mark.parametrize(
    ("use", "fails"),
    [
        ("save(arrays)", False),
        ("self.save(arrays)", True),
        ("save(arrays.to_torch_state_dict())", True),
        ("for name in arrays: print(name)", True),
        ("if arrays is not None: save(arrays.to_numpy_ndarrays())", False),
        ("if arrays and server_round: save(arrays['w'])", False),
        ("x = arrays['w'] if arrays else None", False),
        ("x = arrays is not None and arrays['w']", False),
        ("if arrays is None: print('none')\n        else: save(arrays['w'])", False),
        ("if not arrays or not metrics: return None, None\n        save(arrays['w'])", False),
        ("if metrics is None: return None, None\n        save(arrays['w'])", True),
        ("print(metrics)", False),
        ("log.info(metrics['loss'])", False),
    ],
)
def test_what_fails_without_an_averaged_model_is_told(
    use: str, fails: bool, tmp_path: Path
) -> None:
    classes = GUARDED.replace("{}", use)
    findings = found(tmp_path, {"server.py": server("Mine()", classes)})
    assert (findings.refused, findings.lost) == ([], [])  # it is the mean model that is saved
    words = "where devices are on machines of their own it is None, and this line fails"
    told = [str(note) for note in findings.notes if "averaged model" in str(note)]
    assert [words in note for note in told] == [True] * fails


def test_the_averaged_model_by_its_place(tmp_path: Path) -> None:
    classes = """
    class Mine(FedAvg):
        def aggregate_train(self, r, replies):
            result = super().aggregate_train(r, replies)
            {}
            return result
    """
    for use, fails in (("save(result[1])", 0), ("save(result[0].keys())", 1)):
        text = server("Mine()", classes.replace("{}", use))
        assert len(found(tmp_path / str(fails), {"server.py": text}).notes) == fails


def test_what_counts_models_in_messages_counts_none(tmp_path: Path) -> None:
    classes = """
    class Tracker:
        def track(self, messages):
            return sum(r.count_bytes() for m in messages for r in m.content.array_records.values())

    class Mine(FedAvg):
        def __init__(self, **options):
            super().__init__(**options)
            self.tracker = Tracker()

        def aggregate_train(self, r, replies):
            self.tracker.track(replies)
            return super().aggregate_train(r, replies)
    """
    findings = found(tmp_path, {"server.py": server("Mine()", classes)})
    assert findings.refused == []
    assert "goes over the models in messages: there are none, so that it counts 0" in str(
        findings.lost[0]
    )


def test_attributes_of_the_class_itself_are_no_trouble(tmp_path: Path) -> None:
    classes = """
    class Mine(FedAvg):
        beta = 0.5

        def __init__(self, fraction_train):
            super().__init__(fraction_train=fraction_train)
            self.fraction_train = fraction_train

        def summary(self):
            log(self.fraction_train, self.beta, self.weighted_by_key)
    """
    assert found(tmp_path, {"server.py": server("Mine(0.5)", classes)}).refused == []


@pytest.mark.parametrize("name", ["FedAdam", "FedYogi", "FedAdagrad", "FedAvgM", "QFedAvg"])
def test_strategies_that_lose_something(name: str, tmp_path: Path) -> None:
    findings = found(tmp_path, {"server.py": server(f"{name}(eta=0.1, q=2)", imports=name)})
    assert findings.refused == []
    assert len(findings.lost) == 1
    assert f"app/server.py:9: {name}: " in str(findings.lost[0])
    classes = f"class Mine({name}): ..."
    findings = found(tmp_path / "c", {"server.py": server("Mine()", classes, name)})
    assert f"app/server.py:3: {name}: " in str(findings.lost[0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Krum", "Krum: it leaves out what faulty or hostile clients send"),
        ("FedMedian", "P2PL's consensus trusts all neighbors alike"),
        ("FedTrimmedAvg", "replace it by FedAvg and ask again"),
        ("FedXgbBagging", "trees (XGBoost) cannot be averaged"),
        ("Strategy", "a strategy from scratch"),
    ],
)
def test_strategies_that_are_refused(name: str, words: str, tmp_path: Path) -> None:
    [refused] = found(tmp_path, {"server.py": server(f"{name}()", imports=name)}).refused
    assert words in str(refused)
    classes = f"class Mine({name}): ..."
    [refused] = found(tmp_path / "c", {"server.py": server("Mine()", classes, name)}).refused
    assert words.removeprefix("Krum: ") in str(refused)
    assert "app/server.py:3: Mine derives from" in str(refused)


def test_a_wrapper_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    names = "FedAvg, DifferentialPrivacyServerSideFixedClipping as Private"
    findings = found(tmp_path, {"server.py": server("Private(FedAvg(), 1.0)", imports=names)})
    assert len(findings.refused) == 1
    assert "strategies around others, those for differential privacy" in str(findings.refused[0])
    assert findings.changed == []


def test_a_choice_of_strategies(tmp_path: Path) -> None:
    text = server("pick(context)", imports="FedAvg, FedAdam, Krum").replace(
        "app = ",
        "def pick(context):\n    if context.a:\n        return Krum(num_malicious_nodes=1)\n"
        "    if context.b:\n        return FedAdam(eta=0.1)\n    return FedAvg(0.5)\n\n\napp = ",
    )
    findings = found(tmp_path, {"server.py": text})
    assert findings.refused == []
    changed = next(c.new for c in findings.changed if c.path.name == "server.py")
    assert lines(changed, "return ") == [
        "return Krum(num_malicious_nodes=1)",
        "return P2PL()",
        "return P2PL()",
    ]
    assert "import Krum\n" in changed
    assert "Krum stays as it is, and goes on aggregating" in str(findings.notes[0])


def test_a_table_of_strategies(tmp_path: Path) -> None:
    table = "TABLE = {'a': FedAvg, 'b': FedAdam}"
    text = server("TABLE[context.name](fraction_train=0.5)", table, "FedAvg, FedAdam")
    changed = new(tmp_path, {"server.py": text})
    assert "TABLE = {'a': P2PL, 'b': P2PL}" in changed
    assert "strategy = TABLE[context.name]()" in changed
    text = server("TABLE.get(context.name, FedAvg)(0.5)", table, "FedAvg, FedAdam")
    assert "TABLE.get(context.name, P2PL)()" in new(tmp_path / "get", {"server.py": text})
    text = server("TABLE[context.name]()", table.replace("FedAdam", "Krum"), "FedAvg, Krum")
    [refused] = found(tmp_path / "mixed", {"server.py": text}).refused
    assert "makes one of FedAvg or Krum, of which P2PL can take the place of some only" in str(
        refused
    )


def test_what_cannot_be_followed_is_said(tmp_path: Path) -> None:
    text = server("build(FedAvg)", "def build(kind):\n    return kind(fraction_train=0.5)")
    [refused] = found(tmp_path, {"server.py": text}).refused
    assert "FedAvg is handed on to a function, and what is made of it there" in str(refused)
    text = server("registry.make()", "registry.known = FedAvg")
    [refused] = found(tmp_path / "v", {"server.py": text}).refused
    assert "cannot see where FedAvg is made of what stands here" in str(refused)


def test_a_class_that_shares_its_base_with_one_that_cannot_be(tmp_path: Path) -> None:
    classes = """
    class Base(FedAvg): ...
    class Good(Base): ...
    class Bad(Base):
        def configure_train(self, r, arrays, config, grid):
            return []
    """
    text = server("Good() if context.a else Bad()", classes)
    [refused] = found(tmp_path, {"server.py": text}).refused
    assert "configure_train of Bad does not call super()" in str(refused)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("grid.send_and_receive([])", "and the ServerApp sends messages of its own (line 6)"),
        ("print(grid)", "no strategy of flwr.serverapp.strategy is made here: P2PL takes"),
        ("FedAvg()", "FedAvg is made, but neither its start nor its configure_train is called"),
    ],
)
def test_no_strategy_at_all_is_refused(body: str, words: str, tmp_path: Path) -> None:
    text = (
        "from flwr.serverapp import ServerApp\nfrom flwr.serverapp.strategy import FedAvg\n"
        f"app = ServerApp()\n@app.main()\ndef main(grid, context):\n    {body}\n"
    )
    [refused] = found(tmp_path, {"server.py": text}).refused
    assert words in str(refused)
