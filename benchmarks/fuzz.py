"""What a stranger may send, at random: every parser refuses it in words, or reads it.

``python -m benchmarks.fuzz --examples 100000`` draws so many messages for each parser. Whatever
is raised beside a refusal is a fault: the message is written below ``--out``, to be looked at and
kept in ``tests/relay/corpus``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from p2pl_flower.errors import RelayError
from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc import protocol
from p2pl_flower.relay.grpc.checking import UNFORESEEN, checked
from p2pl_flower.relay.spool import Document, Spool
from p2pl_flower.serverless.agreement import InitialModel

CORPUS = Path(__file__).parents[1] / "tests" / "relay" / "corpus"
OWN = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(1.0)}
_SPOOL = Spool()


class Failed(grpc.RpcError):  # type: ignore[misc]
    """A call that another relay has ended with words of its own."""

    def __init__(self, details: str) -> None:
        self._details = details

    def code(self) -> grpc.StatusCode:
        """Return the status of a refusal."""
        return grpc.StatusCode.RESOURCE_EXHAUSTED

    def details(self) -> str:
        """Return the words."""
        return self._details


def read_document(body: bytes) -> None:
    """Look at what a neighbor has sent as its model."""
    document = _SPOOL.keep(len(body), [body])
    for own in (_own_document(), None):
        for channel in ("model", "candidates"):
            with _refusals():
                for array in checked(document, own, Slot(channel, 1, 0), 1).values():
                    array.sum()


def read_facts(message: bytes) -> None:
    """Look at a message of facts: a request, a greeting, the head of an answer."""
    with _refusals():
        fields = protocol.decode(message)
        InitialModel.from_json(fields.get("initial"))
        for read, key in ((protocol.whole, "round"), (protocol.text, "channel")):
            with _refusals():
                read(fields, key)


def read_refusal(message: bytes) -> None:
    """Look at the words of a refusal."""
    protocol.read_refusal(Failed(message.decode(errors="replace")))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "document": read_document,
    "facts": read_facts,
    "refusal": read_refusal,
}
"""What reads bytes of a stranger's, by name; each raises nothing but what is a fault."""


class _refusals:  # noqa: N801 - a context, as contextlib's
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, RelayError):
            said = str(error)
            return len(said) < 1000 and UNFORESEEN not in said
        return False


def _own_document() -> Document:
    return _SPOOL.keep_model(OWN)


def corpus(target: str) -> list[bytes]:
    """Return the messages that were worth keeping."""
    return [path.read_bytes() for path in sorted(CORPUS.glob(f"{target}-*"))]


_NUMBERS = st.one_of(
    st.integers(-3, 40), st.integers(), st.sampled_from([10**30, 2**62, 2**63, 10**17, -1])
)
_SCALARS = st.one_of(st.none(), st.booleans(), _NUMBERS, st.floats(), st.text(max_size=20))
_ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
_ARRAYS = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F64", "I64", "BOOL", "C64", "BF16", "f32"]) | _ANYTHING,
        "shape": st.lists(_NUMBERS, max_size=5) | _ANYTHING,
        "data_offsets": st.lists(_NUMBERS, min_size=2, max_size=2) | _ANYTHING,
    }
)
_NAMES = st.sampled_from(["w", "b", "__metadata__", "~w", "+b"]) | st.text(max_size=8)
_HEADERS = st.dictionaries(_NAMES, _ARRAYS | _ANYTHING, max_size=4)
_KEYS = ["round", "channel", "initial", "settings", "newest", "degree", "size", "finished"]
_FACTS = st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=8), _ANYTHING, max_size=8)


@st.composite
def _documents(draw: Any) -> bytes:
    text = json.dumps(draw(_HEADERS)).encode()
    length: int = draw(st.just(len(text)) | st.integers(0, 2**64 - 1))
    data: bytes = draw(st.binary(max_size=64))
    return length.to_bytes(8, "little") + text + data


@st.composite
def _damaged(draw: Any, kept: list[bytes]) -> bytes:
    body = bytearray(draw(st.sampled_from(kept)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(len(body) - 1, 0)))
        body[place : place + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(body)


def messages(target: str) -> st.SearchStrategy[bytes]:
    """Return how messages for a parser are drawn: made up, damaged, and mere bytes."""
    made = _documents() if target == "document" else _FACTS.map(lambda f: json.dumps(f).encode())
    kept = [*corpus(target), b"".join(_own_document().chunks(1 << 20))]
    return st.one_of(made, _damaged(kept), st.binary(max_size=200))


def run(target: str, examples: int, number: int, found: list[bytes]) -> None:
    """Draw messages for a parser; the last of ``found`` is the simplest that is a fault."""

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(messages(target))
    def read(message: bytes) -> None:
        try:
            TARGETS[target](message)
        except Exception:
            found.append(message)
            raise

    read()


def main() -> Iterator[str]:
    """Draw for each parser, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir(), "p2pl-fuzz"))
    options = parser.parse_args()
    for target in TARGETS:
        started, found = time.monotonic(), list[bytes]()
        try:
            run(target, options.examples, options.seed, found)
        except Exception as error:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / target).write_bytes(found[-1])
            yield f"{target}: {type(error).__name__}: {error!s:.200}; see {options.out / target}"
        else:
            seconds = time.monotonic() - started
            yield f"{target}: {options.examples:,} messages, no fault, {seconds:.0f} s"


if __name__ == "__main__":
    for line in main():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
