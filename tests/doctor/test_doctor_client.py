"""The app on the devices: what it must register, return and leave out."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_projects import CLIENT, CLIENT_FN, SERVER_FN, found, new

IMPORTS = "from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict\n"


def returning(*returned: str) -> str:
    """Return a client whose train function returns some contents."""
    body = "\n".join(f"    if x == {i}:\n        {text}" for i, text in enumerate(returned))
    return IMPORTS + CLIENT.replace("    ...\n\n\n@app.ev", f"{body}\n\n\n@app.ev")


@pytest.mark.parametrize(
    ("returned", "count"),
    [
        (["return Message(RecordDict({'a': ArrayRecord(m), 'm': MetricRecord(n)}))"], None),
        (["return Message(content=RecordDict({'m': MetricRecord(n)}), reply_to=message)"], 0),
        (["return Message(RecordDict({'a': ArrayRecord(m), 'b': ArrayRecord(n)}))"], 2),
        (["return Message(RecordDict({'c': ConfigRecord({'model': b})}))"], 0),
        (
            ["content = RecordDict({'m': MetricRecord(n)})\n        content['a'] = ArrayRecord(m)"],
            None,
        ),
        (["return Message(RecordDict(unseen))"], None),
        (
            [
                "return Message(RecordDict({'c': ConfigRecord({'only': 'checked'})}))",
                "return Message(RecordDict({'a': ArrayRecord(m), 'm': MetricRecord(n)}))",
            ],
            None,
        ),
    ],
)
def test_array_records(returned: list[str], count: int | None, tmp_path: Path) -> None:
    refused = found(tmp_path, {"client.py": returning(*returned)}).refused
    text = f"the train function returns {count} array records: P2PL needs exactly one"
    assert [text in str(r) for r in refused] == ([] if count is None else [True])


def test_records_in_variables_and_from_functions(tmp_path: Path) -> None:
    text = returning(
        "a, b = model(), ArrayRecord(m)\n        return Message(RecordDict({'a': a, 'b': b}))"
    )
    helper = "from flwr.common import ArrayRecord as Arrays\ndef model():\n    return Arrays(w)\n"
    files = {"client.py": "from .helper import model\n" + text, "helper.py": helper}
    assert "returns 2 array records" in str(found(tmp_path, files).refused[0])


@pytest.mark.parametrize(
    ("client", "words"),
    [
        (
            CLIENT.replace("train()", "query()"),
            "there is no @app.train() function, and no client_fn",
        ),
        (
            CLIENT.replace("train()", "train('mine')"),
            "@app.train('mine') answers messages of its own",
        ),
        (
            CLIENT.replace("ClientApp()", "load()"),
            "cannot see a ClientApp or PeerApp that is made as",
        ),
    ],
)
def test_clients_that_do_not_train(client: str, words: str, tmp_path: Path) -> None:
    [refused] = found(tmp_path, {"client.py": client}).refused
    assert words in str(refused)


def test_other_ways_to_register(tmp_path: Path) -> None:
    text = CLIENT.replace("@app.train()", "@app.train('default')")
    assert "app = PeerApp()" in new(tmp_path / "a", {"client.py": text}, "client.py")
    text = CLIENT.replace("@app.train()\n", "").replace(
        "...\n\n\n@", "...\n\n\napp.train()(train)\n\n\n@"
    )
    assert "app = PeerApp()" in new(tmp_path / "b", {"client.py": text}, "client.py")
    other = "from .made import app\n" + CLIENT.partition("ClientApp()")[2]
    made = "from flwr.clientapp import ClientApp\napp = ClientApp()\n"
    assert found(tmp_path / "c", {"client.py": other, "made.py": made}).refused == []


@pytest.mark.parametrize(
    ("mods", "words"),
    [
        ("flwr.client.mod import secaggplus_mod", "secaggplus_mod: secure aggregation masks"),
        ("flwr.clientapp.mod import fixedclipping_mod", "fixedclipping_mod: it is one half of"),
        (
            "flwr.client.mod import adaptiveclipping_mod as secaggplus_mod",
            "adaptiveclipping_mod: it",
        ),
    ],
)
def test_mods_that_need_a_server_that_aggregates(mods: str, words: str, tmp_path: Path) -> None:
    text = f"from {mods}\n" + CLIENT
    name = mods.rpartition(" ")[2]
    assert found(tmp_path / "unused", {"client.py": text}).refused == []
    text = text.replace("ClientApp()", f"ClientApp(mods=[{name}])")
    [refused] = found(tmp_path, {"client.py": text}).refused
    assert words in str(refused)


def test_mods_of_the_users_and_local_dp_stay(tmp_path: Path) -> None:
    text = (
        "from flwr.clientapp.mod import LocalDpMod, arrays_size_mod\nfrom .mods import count\n"
        + CLIENT.replace("ClientApp()", "ClientApp(\n    mods=[count, LocalDpMod(1, 1, 1, 1)],\n)")
    )
    findings = found(tmp_path, {"client.py": text, "mods.py": "def count(m, c, n): ...\n"})
    assert "app = PeerApp(\n    mods=[count, LocalDpMod(1, 1, 1, 1)],\n)" in findings.changed[0].new
    assert "LocalDpMod: its clipping and noise are on what neighbors receive" in str(
        findings.notes[0]
    )


PACKED = "np.frombuffer(booster.save_raw('json'), dtype=np.uint8)"


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (f"return ArrayRecord([{PACKED}])", True),
        (f"packed = {PACKED}\n    record = ArrayRecord([packed])", True),
        (f"images = {PACKED}\n    return ArrayRecord(fit(model, load(images)))", True),
        (f"images = {PACKED}\n    model = fit(images)\n    return ArrayRecord(model)", False),
        (f"return {PACKED}.reshape(-1, 28, 28) / 255", False),
    ],
)
def test_models_packed_into_bytes(body: str, refused: bool, tmp_path: Path) -> None:
    text = f"import numpy as np\n{IMPORTS}{CLIENT}\n\ndef pack(booster):\n    {body}\n"
    said = found(tmp_path, {"client.py": text}).refused
    assert ["trees (XGBoost) cannot be averaged" in str(r) for r in said] == [True] * refused


def test_what_is_scored_is_noted(tmp_path: Path) -> None:
    text = CLIENT.partition("@app.evaluate()")[0]
    [note] = found(tmp_path / "a", {"client.py": text}).notes
    assert str(note) == (
        "app/client.py:1: there is no @app.evaluate(): models will not be scored on the devices"
    )
    text = (
        IMPORTS
        + CLIENT
        + "    return Message(RecordDict({'a': ArrayRecord(w), 'm': MetricRecord(n)}))\n"
    )
    [note] = found(tmp_path / "b", {"client.py": text}).notes
    assert "the evaluate function returns its model: it stays on the device" in str(note)
    silent = CLIENT_FN.replace("evaluate", "other")
    [note] = found(tmp_path / "c", {"client.py": silent, "server.py": SERVER_FN}).notes
    assert "app/client.py:4: Client has no evaluate" in str(note)
