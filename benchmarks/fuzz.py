"""What a stranger may send, at random: every parser refuses it in words, or reads it.

``python -m benchmarks.fuzz --examples 100000`` draws so many messages for each parser. Whatever
is raised beside a refusal is a fault: the message is written below ``--faults``, to be looked at
and kept in ``tests/relay/corpus``. The JSON has rows of all parsers; ``--target`` renews some.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from cryptography import x509
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from benchmarks.memory import NOW, memory
from p2pl_flower.errors import ConfigError, RelayError
from p2pl_flower.history import environment
from p2pl_flower.relay import Slot
from p2pl_flower.relay.group import Invitation
from p2pl_flower.relay.group.revocations import Revocations
from p2pl_flower.relay.grpc import protocol
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.relay.grpc.checking import UNFORESEEN, checked
from p2pl_flower.relay.spool import Document, Spool
from p2pl_flower.relay.tunnel import control
from p2pl_flower.serverless.agreement import InitialModel
from p2pl_flower.serverless.membership import Joining, Membership
from simulations.report import aligned

CORPUS = Path(__file__).parents[1] / "tests" / "relay" / "corpus"
OWN = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(1.0)}
_SPOOL = Spool()
_WORDS = RelayError, ConfigError, control.BrokenStreamError


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


def read_greeting(message: bytes) -> None:
    """Look at what a device says of itself, of others, and of certificates taken back."""
    with _refusals():
        fields = protocol.decode(message)
        member = Membership(0, "a:1", {1: "b:1"}, Joining(links=2), seed=0)
        member.hear(1, fields, asked=False)
        member.hear(2, fields, asked=True)
        member.begin_round(1, (), ())
        Revocations().newer(fields.get("revoked"), _authority())


def read_control(message: bytes) -> None:
    """Look at a line of a control stream."""
    with _refusals():
        control._read(message)


def read_invitation(message: bytes) -> None:
    """Look at the line that somebody brings who wants to join."""
    with _refusals():
        Invitation.read(message.decode(errors="replace"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "document": read_document,
    "facts": read_facts,
    "refusal": read_refusal,
    "greeting": read_greeting,
    "control": read_control,
    "invitation": read_invitation,
}
"""What reads bytes of a stranger's, by name; each raises nothing but what is a fault."""


class _refusals:  # noqa: N801 - a context, as contextlib's
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, _WORDS):
            said = str(error)
            return len(said) < 1000 and UNFORESEEN not in said
        return False


@cache
def _authority() -> x509.Certificate:
    with tempfile.TemporaryDirectory() as folder:
        make_certificates(Path(folder), [0])
        return x509.load_pem_x509_certificate(Path(folder, "ca.pem").read_bytes())


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
_PLACES = st.sampled_from(["a:1", "[::1]:9", "dial-out", "a", ":", "a:99999999"]) | _SCALARS
_ENTRIES = st.lists(st.tuples(_NUMBERS, _PLACES, _NUMBERS) | _ANYTHING, max_size=4)
_REVOKED = st.fixed_dictionaries(
    {"version": _NUMBERS, "devices": st.lists(_NUMBERS, max_size=3), "signature": _SCALARS}
)
_GREETINGS = st.fixed_dictionaries(
    {},
    optional={
        "address": _PLACES,
        "links": st.lists(_NUMBERS, max_size=4) | _ANYTHING,
        "known": _ENTRIES | _ANYTHING,
        "card": st.tuples(st.text(max_size=8), _NUMBERS) | _ANYTHING,
        "leaving": st.booleans() | _ANYTHING,
        "revoked": _REVOKED | _ANYTHING,
    },
)


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
    drawn = {"document": _documents(), "greeting": _GREETINGS.map(_encoded)}
    made = drawn.get(target, _FACTS.map(_encoded))
    kept = [*corpus(target), b"".join(_own_document().chunks(1 << 20))]
    return st.one_of(made, _damaged(kept), st.binary(max_size=200))


def _encoded(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


def run(
    target: str, examples: int, number: int, found: list[bytes], drawn: list[bytes] | None = None
) -> None:
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
        if drawn is not None:
            drawn.append(message)
        try:
            TARGETS[target](message)
        except Exception:
            found.append(message)
            raise

    read()


def measure(target: str, examples: int, number: int, faults: Path) -> dict[str, Any]:
    """Draw for a parser, and return what came of it.

    What hypothesis remembers of its draws is not what the parser keeps: memory and files are
    compared before and after all messages are read a second time.
    """
    found, drawn = list[bytes](), list[bytes]()
    row: dict[str, Any] = {"parser": target, "messages": examples, "faults": 0, "fault": ""}
    try:
        started = time.monotonic()
        run(target, examples, number, found, drawn)
        row |= {"messages": len(drawn), "seconds": time.monotonic() - started}
        before = _held()
        for message in drawn:
            TARGETS[target](message)
        grown = [b - a for a, b in zip(before, _held(), strict=True)]
        row["grown_bytes"], row["grown_files"] = grown
    except Exception as error:
        faults.mkdir(parents=True, exist_ok=True)
        (faults / target).write_bytes(found[-1])
        row |= {"faults": 1, "fault": f"{type(error).__name__}: {error!s:.200}"}
    return row


def _held() -> tuple[int, int]:
    """Return the resident memory in bytes, and the open files."""
    gc.collect()
    return memory(NOW), len(os.listdir("/proc/self/fd"))


def table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return what is shown of the rows."""
    shown = [["parser", "messages", "faults", "memory, MB", "open files"]]
    for row in rows:
        grown = [f"{row.get('grown_bytes', 0) / 1e6:+.1f}", f"{row.get('grown_files', 0):+d}"]
        shown.append([row["parser"], f"{row['messages']:,}", str(row["faults"]), *grown])
    return shown


def main(arguments: list[str] | None = None) -> int:
    """Draw for each parser, write the JSON and print a summary; 1 if there is a fault."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="default: all")
    parser.add_argument("--faults", type=Path, default=Path(tempfile.gettempdir(), "p2pl-fuzz"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args(arguments)
    kept = json.loads(options.out.read_text(encoding="utf-8"))["rows"] if options.target else []
    rows = {row["parser"]: row for row in kept}
    for target in options.target or TARGETS:
        rows[target] = measure(target, options.examples, options.seed, options.faults)
    listed = [rows[target] for target in TARGETS if target in rows]
    shown = table(listed)
    content = {"table": shown, "environment": environment(), "rows": listed}
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(aligned(shown))
    return int(any(row["faults"] for row in listed))


if __name__ == "__main__":
    sys.exit(main())
