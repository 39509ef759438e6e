"""Nodes that leave and come again, and relays that lose what they kept: the others go on."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import pytest
from flwr.app import Context, Error, Message, RecordDict
from local_grid import RUN_ID, LocalGrid
from toy_app import make_app, run, values

from p2pl_flower import MemoryRelay
from p2pl_flower.errors import DeviceError, UnavailableError
from p2pl_flower.flower._compat import UNREACHABLE

SUPERLINK, AGAIN = 1, 5


class Leaving(LocalGrid):
    """A grid one of whose nodes is gone in some rounds, and comes again under another id.

    Like a SuperLink, it answers for the node that is gone, from its own node id.
    """

    def __init__(self, app: Any, num_nodes: int, who: int, gone: range, listed: bool) -> None:
        super().__init__(app, num_nodes)
        self._who, self._gone, self._listed, self._round = who, gone, listed, 1

    def begin_after(self, measured: Any) -> None:
        self._round = measured.round + 1
        if self._round == self._gone.stop:
            old = self.contexts.pop(self.node_of(self._who))
            self.contexts[AGAIN] = Context(RUN_ID, AGAIN, old.node_config, RecordDict(), {})

    def get_node_ids(self) -> Iterable[int]:
        hidden = self._round in self._gone and not self._listed
        return [n for n in self.contexts if not (hidden and n == self.node_of(self._who))]

    def _deliver(self, message: Message) -> Message:
        if self._round in self._gone and message.metadata.dst_node_id == self.node_of(self._who):
            message.metadata.__dict__["_message_id"] = f"lost in {self._round}"
            reply = Message(Error(min(UNREACHABLE), "Error: Node Unavailable"), reply_to=message)
            reply.metadata.__dict__["_src_node_id"] = SUPERLINK
            return reply
        return super()._deliver(message)


def trained_in(strategy: Any, grid: LocalGrid) -> dict[int, list[int]]:
    sent = [(c.config_records["p2pl"]["round"], d) for k, d, c in grid.log if k == "train.p2pl"]
    return {r.round: sorted(d for n, d in sent if n == r.round) for r in strategy.rounds}


@pytest.mark.parametrize("listed", [True, False], ids=["killed", "says-goodbye"])
@pytest.mark.parametrize("algorithm", ["p2pl", "exact-diffusion"])
def test_a_node_that_leaves_is_missed_and_taken_back(listed, algorithm, caplog) -> None:
    app, relay = make_app(draws=True)
    grid = Leaving(app, 4, who=2, gone=range(2, 4), listed=listed)
    options = {"topology": "complete", "algorithm": algorithm, "on_round": grid.begin_after}
    with caplog.at_level(logging.INFO, "flwr.p2pl"):
        strategy, result = run(grid, relay, rounds=5, num_devices=4, **options)
    everybody = [0, 1, 2, 3]
    assert trained_in(strategy, grid) == {
        1: everybody, 2: [0, 1, 3], 3: [0, 1, 3], 4: everybody, 5: everybody
    }  # fmt: skip
    assert "device 2 is back" in caplog.text
    assert strategy.rounds[-1].after_consensus.accuracy.mean == 0.5
    assert values(result.arrays)["steps"] in (4, 5)  # of the device whose integers come first


class Early(Leaving):
    """Its node comes again under another id before the old one is missed."""

    def begin_after(self, measured: Any) -> None:
        self._round = measured.round + 1
        if self._round == self._gone.start:
            old = self.contexts[self.node_of(self._who)]
            self.contexts[AGAIN] = Context(RUN_ID, AGAIN, old.node_config, RecordDict(), {})
        if self._round == self._gone.stop:
            del self.contexts[self.node_of(self._who)]


def test_a_node_that_comes_before_it_is_missed_is_taken_back_once_it_is(caplog) -> None:
    app, relay = make_app(draws=True)
    grid = Early(app, 4, who=2, gone=range(2, 3), listed=True)
    options = {"topology": "complete", "on_round": grid.begin_after}
    with caplog.at_level(logging.INFO, "flwr.p2pl"):
        strategy, _ = run(grid, relay, rounds=4, num_devices=4, **options)
    everybody = [0, 1, 2, 3]
    assert trained_in(strategy, grid) == {1: everybody, 2: [0, 1, 3], 3: everybody, 4: everybody}
    assert "device 2 is back" in caplog.text
    assert "connected after the start" not in caplog.text


class Forgetful(MemoryRelay):
    """Loses all that one device has in it, or is not there, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.down: int | None = None

    def mailbox(self, run: int, device: int) -> Any:
        if device == self.down:
            raise UnavailableError("no relay answers at here: start it")
        return super().mailbox(run, device)

    def lose(self, run: int, device: int) -> None:
        for key in [k for k in self._entries if k[0] == run and k[1].startswith(f"{device}/")]:
            del self._entries[key]


@pytest.mark.parametrize("algorithm", ["p2pl", "exact-diffusion"])
@pytest.mark.parametrize("memory", ["", "none", "public-copies"])
@pytest.mark.parametrize("on_failure", ["skip", "raise"])
@pytest.mark.parametrize("answers", [True, False], ids=["restarted", "down-for-a-round"])
def test_a_relay_that_has_lost_a_model_gets_a_neighbors(
    memory, algorithm, on_failure, answers, caplog
) -> None:
    relay = Forgetful()
    app = make_app(draws=True)[0]
    app._relay = relay
    grid = LocalGrid(app, 3)

    def on_round(measured: Any) -> None:
        if measured.round == 2:
            relay.lose(RUN_ID, 1)
            relay.down = None if answers else 1
        if measured.round == 3:
            relay.down = None

    options = {"topology": "ring", "on_round": on_round, "on_failure": on_failure}
    options["algorithm"] = algorithm
    options |= {"codec": "float16", "codec_memory": memory} if memory else {}
    with caplog.at_level(logging.WARNING, "flwr.p2pl"):
        strategy, _ = run(grid, relay, rounds=5, num_devices=3, **options)
    assert "it sits out the round, and the others go on" in caplog.text
    assert [len(strategy.train_metrics), len(strategy.evaluate_metrics)] == [3, 3]
    assert [r.round for r in strategy.rounds] == [1, 2, 3, 4, 5]


def test_where_all_relays_are_gone_the_run_ends() -> None:
    relay = Forgetful()
    app = make_app(draws=True)[0]
    app._relay = relay

    class Down(LocalGrid):
        def _deliver(self, message: Message) -> Message:
            relay.down = self.contexts[message.metadata.dst_node_id].node_config["partition-id"]
            return super()._deliver(message)

    with pytest.raises(DeviceError, match="no relay answers"):
        run(Down(app, 2), relay, rounds=1, topology="complete")
