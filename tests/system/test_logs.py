"""Log lines: one for each entry, with the time, and nothing that a stranger could forge."""

from __future__ import annotations

import json
import logging

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.system.logs import configure_log, escaped

log = logging.getLogger("flwr.p2pl")


@pytest.fixture(autouse=True)
def _as_before():
    handlers, propagate, level = log.handlers[:], log.propagate, log.level
    yield
    log.handlers[:], log.propagate = handlers, propagate
    log.setLevel(level)


def test_what_others_say_stays_one_short_line() -> None:
    said = escaped("a\nERROR forged\r\x1b[2J\u202e\ud800" + "x" * 5000)
    assert said.startswith(r"a\nERROR forged\r\x1b[2J\u202e\ud800xxx")
    assert said.isprintable()
    assert said.endswith("... (5,021 characters)")
    assert escaped("Größe 3 µs: 'ok'") == "Größe 3 µs: 'ok'"


def test_a_line_has_its_time(tmp_path) -> None:
    configure_log(logging.INFO, str(tmp_path / "new" / "log"))
    log.info("one %s", "\x1b[31m")
    log.debug("two")
    [line] = (tmp_path / "new" / "log").read_text().splitlines()
    day, time, level, text = line.split(" ", 3)
    assert (len(day), len(time), level, text) == (10, 8, "INFO", r"one \x1b[31m")


def test_a_line_is_an_object_where_programs_read_it(tmp_path) -> None:
    for _ in range(2):  # the second goes to the end of what is there
        configure_log(logging.INFO, str(tmp_path / "log"), "json")
        log.warning("two\nlines")
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert first["message"] == second["message"] == r"two\nlines"
    assert first["level"] == "WARNING"
    assert first["time"][10] == "T"


def test_what_cannot_be_is_one_sentence(tmp_path) -> None:
    with pytest.raises(ConfigError, match="log-format='xml': unknown name; choose one of: text, j"):
        configure_log(logging.INFO, form="xml")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"log-file=.*cannot be written"):
        configure_log(logging.INFO, str(tmp_path / "file" / "log"))
