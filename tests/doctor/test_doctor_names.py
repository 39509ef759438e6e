"""What is replaced is what a name stands for, not what it looks like."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_projects import CLIENT, SERVER, found, lines, new, server

OTHERS = '''\
import logging
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg, Result
from flwr.serverapp.strategy.strategy_utils import log_strategy_start_info, sample_nodes

app = ServerApp()


@app.main()
def main(grid, context) -> None:
    """Runs FedAvg."""
    nodes, _ = sample_nodes(grid, 2, 2)
    log_strategy_start_info(3, arrays, None, None)
    result = Result()
    strategy: FedAvg = FedAvg(fraction_train=0.5)
    assert isinstance(strategy, FedAvg)
    strategy.start(grid, arrays)
'''


def test_other_names_of_the_same_module_stay(tmp_path: Path) -> None:
    text = new(tmp_path, {"server.py": OTHERS})
    kept = ["sample_nodes(grid, 2, 2)", "log_strategy_start_info(3, ", "Result()", "isinstance("]
    assert all(word in text for word in kept)
    assert "strategy: FedAvg = P2PL()" in text  # an annotation does no harm
    assert lines(text, "import") == [
        "import logging",
        "from flwr.serverapp import ServerApp",
        "from flwr.serverapp.strategy import FedAvg, Result",
        "from flwr.serverapp.strategy.strategy_utils import log_strategy_start_info, sample_nodes",
        "from p2pl_flower import P2PL",
    ]


@pytest.mark.parametrize(
    ("imported", "made"),
    [
        ("from flwr.serverapp.strategy import FedAvg", "FedAvg()"),
        ("from flwr.serverapp.strategy import FedAvg as Average", "Average()"),
        ("from flwr.serverapp.strategy.fedavg import FedAvg", "FedAvg()"),
        ("from flwr.serverapp.strategy import *", "FedAvg()"),
        ("import flwr.serverapp.strategy", "flwr.serverapp.strategy.FedAvg()"),
        ("import flwr.serverapp.strategy as fs", "fs.FedAvg()"),
        ("import flwr as fl", "fl.serverapp.strategy.FedAvg()"),
        ("from flwr import serverapp", "serverapp.strategy.FedAvg()"),
        ("from flwr.serverapp import strategy as strategies", "strategies.FedAvg()"),
        ("from app.names import FedAvg", "FedAvg()"),
        ("from .names import Average", "Average()"),
        ("from app import names", "names.Average()"),
        ("from . import names as n", "n.FedAvg()"),
        ("import app.names", "app.names.FedAvg()"),
        (
            "try:\n    from .gone import FedAvg\nexcept ImportError:\n    from .names import *",
            "FedAvg()",
        ),
    ],
)
def test_every_way_to_import_a_strategy(imported: str, made: str, tmp_path: Path) -> None:
    text = f"{imported}\nfrom flwr.serverapp import ServerApp\napp = ServerApp()\n"
    text += f"def main(grid):\n    {made}.start(grid, arrays)\n"
    names = "from flwr.serverapp.strategy import FedAvg\nAverage = FedAvg\n"
    changed = new(tmp_path, {"server.py": text, "names.py": names})
    assert "    P2PL().start(grid, arrays)" in changed
    assert changed.count("from p2pl_flower import P2PL") == 1
    assert "FedAvg()" not in changed


@pytest.mark.parametrize(
    "text",
    [
        "import flwr as fl\napp = fl.client.ClientApp()",
        "from flwr.client import ClientApp as App\napp = App()",
        "from flwr.clientapp.client_app import ClientApp\napp: ClientApp = ClientApp()",
        "from flwr.clientapp import ClientApp\nif True:\n    app = ClientApp()",
        "from flwr.clientapp import ClientApp\ndef make():\n    return ClientApp()\napp = make()",
        "from .made import app",
        "from .made import another as app",
    ],
)
def test_every_way_to_make_a_client_app(text: str, tmp_path: Path) -> None:
    rest = CLIENT.partition("app = ClientApp()")[2]
    made = "from flwr.clientapp import ClientApp\napp = ClientApp()\nanother = app\n"
    files = {"client.py": text + rest, "made.py": made}
    findings = found(tmp_path, files)
    assert findings.refused == []
    [changed] = [c for c in findings.changed if "PeerApp" in c.new]
    assert changed.new.count("PeerApp()") == 1
    assert changed.new.count("from p2pl_flower import PeerApp") == 1
    assert "ClientApp()" not in changed.new


def test_an_app_class_of_the_users_derives_from_ours(tmp_path: Path) -> None:
    text = CLIENT.replace("app = ClientApp()", "class Own(ClientApp): ...\n\n\napp = Own()")
    changed = new(tmp_path, {"client.py": text}, "client.py")
    assert "class Own(PeerApp): ..." in changed
    assert "app = Own()" in changed


@pytest.mark.parametrize(
    ("imported", "left"),
    [
        ("import FedAvg, Result", "import Result"),
        ("import Result, FedAvg", "import Result"),
        ("import (\n    FedAvg,  # the mean\n    Result,\n)", "import (\n    Result,\n)"),
        (
            "import (\n    Result,  # rounds\n    FedAvg,  # the mean\n)",
            "import (\n    Result,  # rounds\n)",
        ),
        ("import (Result,\n    FedAvg)", "import (Result)"),
    ],
)
def test_a_name_that_is_not_used_any_more_is_not_imported(
    imported: str, left: str, tmp_path: Path
) -> None:
    text = SERVER.replace("import FedAvg", imported)
    changed = new(tmp_path, {"server.py": text})
    expected = f"from flwr.serverapp.strategy {left}\nfrom p2pl_flower import P2PL\n"
    assert (
        changed.splitlines()[1:]
        == text.replace(f"from flwr.serverapp.strategy {imported}\n", expected)
        .replace("FedAvg()", "P2PL()")
        .splitlines()[1:]
    )


def test_what_others_import_from_a_file_stays_there(tmp_path: Path) -> None:
    user = 'from .server import FedAvg\n__all__ = ["FedAvg"]\n'
    text = SERVER.replace("app = ServerApp()", "from . import user\napp = ServerApp()")
    changed = new(tmp_path, {"server.py": text, "user.py": user})
    assert "from flwr.serverapp.strategy import FedAvg\nfrom p2pl_flower import P2PL\n" in changed


def test_a_project_that_is_converted_in_part(tmp_path: Path) -> None:
    ours = "from p2pl_flower import {}\n"
    client = ours.format("PeerApp") + CLIENT.replace("ClientApp()", "PeerApp()")
    [changed] = found(tmp_path / "client", {"client.py": client}).changed
    assert changed.path.name == "server.py"
    text = ours.format("P2PL") + SERVER.replace("FedAvg()", "P2PL('ring', evaluate_every=2)")
    [changed] = found(tmp_path / "server", {"server.py": text}).changed
    assert changed.path.name == "client.py"


def test_apps_of_one_file_share_an_import(tmp_path: Path) -> None:
    text = CLIENT.replace("app =", "client =").replace("@app", "@client") + SERVER
    toml = '[project]\nname = "app"\n[tool.flwr.app.components]\n'
    toml += 'serverapp = "app.both:app"\nclientapp = "app.both:client"\n'
    changed = new(tmp_path, {"both.py": text}, "both.py", toml)
    assert "client = PeerApp()" in changed
    assert "strategy = P2PL()" in changed


def test_what_the_apps_do_not_import_says_nothing(tmp_path: Path) -> None:
    other = "from flwr.serverapp.strategy import Krum\nimport xgboost\nstrategy = Krum()\n"
    main = '\nif __name__ == "__main__":\n    from .other import strategy\n'
    findings = found(tmp_path, {"other.py": other, "server.py": SERVER + main})
    assert findings.refused == []
    assert [c.path.name for c in findings.changed] == ["client.py", "server.py"]
    findings = found(tmp_path / "in", {"other.py": other, "server.py": "from . import other\n"})
    assert "Krum: it leaves out" in str(findings.refused[0])


def test_a_strategy_that_is_only_imported_says_nothing(tmp_path: Path) -> None:
    text = server("FedAvg()", imports="FedAvg, Krum, FedXgbBagging")
    assert "import Krum, FedXgbBagging" in new(tmp_path, {"server.py": text})


def test_names_that_go_in_circles_end(tmp_path: Path) -> None:
    text = SERVER.replace(
        "    strategy.start",
        "    strategy = strategy if strategy else strategy\n    strategy.start",
    )
    one, other = "from .other import *\n", "from .one import *\n"
    files = {"server.py": f"from .one import x\n{text}", "one.py": one, "other.py": other}
    assert "strategy = P2PL()" in new(tmp_path, files)


def test_a_local_variable_hides_an_import(tmp_path: Path) -> None:
    text = SERVER + "\n\ndef other(FedAvg):\n    return FedAvg(fraction_train=1)\n"
    assert "return FedAvg(fraction_train=1)" in new(tmp_path, {"server.py": text})


@pytest.mark.parametrize(
    ("imports", "expected"),
    [
        (
            "try:\n    from flwr.serverapp.strategy import FedAvg as Chosen\n"
            "except ImportError:\n    from flwr.serverapp.strategy import FedAvg as Chosen\n",
            "try:\n    from p2pl_flower import P2PL\n"
            "except ImportError:\n    from p2pl_flower import P2PL\n",
        ),
        (
            "if fast:\n    from flwr.serverapp.strategy import FedAvg as Chosen\n"
            "else:\n    import os\n    from flwr.serverapp.strategy import FedProx as Chosen\n",
            "if fast:\n    from p2pl_flower import P2PL\n"
            "else:\n    import os\n    from p2pl_flower import P2PL\n",
        ),
        (
            "from p2pl_flower import P2PL\n"
            "if fast:\n    from flwr.serverapp.strategy import FedAvg as Chosen\n",
            "from p2pl_flower import P2PL\nif fast:\n    pass\n",
        ),
        (
            "import os; from flwr.serverapp.strategy import FedAvg as Chosen; import sys\n",
            "import os; from p2pl_flower import P2PL; import sys\n",
        ),
        (
            "try: from flwr.serverapp.strategy import FedAvg as Chosen, Result\n"
            "except ImportError: import os\n",
            "try: from flwr.serverapp.strategy import Result; from p2pl_flower import P2PL\n"
            "except ImportError: import os\n",
        ),
        (
            "from p2pl_flower import P2PL\n"
            "from flwr.serverapp.strategy import FedAvg as Chosen; import sys\n",
            "from p2pl_flower import P2PL\npass; import sys\n",
        ),
    ],
)
def test_imports_of_which_one_runs_stay_whole(imports: str, expected: str, tmp_path: Path) -> None:
    text = server("Chosen()").replace("from flwr.serverapp.strategy import FedAvg\n", imports)
    changed = new(tmp_path, {"server.py": text})
    compile(changed, "server.py", "exec")
    assert expected in changed
    assert "strategy = P2PL()" in changed


@pytest.mark.parametrize("other", ["class P2PL: ...", "def f(P2PL): ...", "from x import P2PL"])
def test_a_name_that_means_something_else_is_left_to_it(other: str, tmp_path: Path) -> None:
    changed = new(tmp_path, {"server.py": server("FedAvg(seed=1)", f"{other}\n")})
    assert lines(changed, "p2pl_flower") == [
        "import p2pl_flower",
        "strategy = p2pl_flower.P2PL(seed=1)",
    ]
    assert other in changed
