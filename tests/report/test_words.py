"""What a report says follows from the numbers."""

from __future__ import annotations

from histories_by_hand import by_server, history, peers

from p2pl_flower.history import History, Round, Run
from p2pl_flower.report import sentences
from p2pl_flower.report.words import title


def said(of: History) -> str:
    return sentences(of).replace("\N{NO-BREAK SPACE}", " ")


def test_two_sentences_with_the_numbers():
    assert said(history(8)) == (
        "After round 5, the models of 8 devices (p2pl) have a mean accuracy of 25.1 %, from 25.0 % "
        "on the worst device to 25.1 % on the best; fedavg has 90.0 %. For that, the busiest "
        "device sent 2 kB of models a round, without a server; fedavg's server moved 5 MB."
    )


def test_peers_come_first_whatever_the_order():
    runs = [by_server(8, 5), peers(8, 5)]
    assert said(History({}, {}, runs)) == said(history(8))


def test_what_is_not_known_is_not_said():
    unscored = Run("p2pl", "flower", 0, 3, {}, [Round(1)])
    text = said(History({}, {}, [unscored]))
    assert text == "No model was scored: give a test set. What was sent was not counted."
    assert said(History({}, {}, [])) == ""


def test_bytes_through_a_server_are_told():
    run = peers(4, 1)
    run.rounds[0].bytes_through_server = 3000
    assert "and 3 kB went through a server." in said(History({}, {}, [run]))


def test_title():
    assert title(history(1000)) == "1,000 devices learn digits"
    assert title(History({"model": "Net"}, {}, [peers(3, 1)])) == "3 devices train Net"
