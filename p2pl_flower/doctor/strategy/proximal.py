"""FedProx: the number that it puts into the config of every round."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from ..findings import Remark
from ..python.edits import Edit
from ..python.modules import reach
from ..python.names import Names
from ..python.source import Source
from .run_config import RunConfig

_KEY = "proximal-mu"
_PUT = (
    "FedProx puts 'proximal-mu' into the config of every round, and P2PL does not: put it into "
    "train_config yourself, the devices read it"
)
_LOST = (
    "FedProx: P2PL does not put 'proximal-mu' into the config of every round; put it into "
    "train_config for a proximal term"
)


@dataclass(frozen=True)
class Verdict:
    """What becomes of ``proximal_mu``.

    Attributes
    ----------
    edits : tuple[Edit, ...]
        The changes that put it into ``train_config``.
    needs_record : bool
        Whether ``ConfigRecord`` has to be imported for them.
    refused, lost : tuple[Remark, ...]
        What is to say where it cannot be put there.
    """

    edits: tuple[Edit, ...] = ()
    needs_record: bool = False
    refused: tuple[Remark, ...] = ()
    lost: tuple[Remark, ...] = ()


class Proximal:
    """Puts FedProx' number where P2PL's devices are sent it.

    Parameters
    ----------
    names : Names
        Looks names up.
    config : RunConfig
        Knows whether a number is 0.
    """

    def __init__(self, names: Names, config: RunConfig) -> None:
        self._names, self._config = names, config

    def of(self, source: Source, call: ast.Call) -> Verdict:
        """Return what becomes of the ``proximal_mu`` of a call that makes a FedProx."""
        given = [k.value for k in call.keywords if k.arg == "proximal_mu"]
        started = self._start(source, call)
        if given and started is not None:
            edit = self._into(source, started, source.code(given[0]))
            if edit is not None:
                named = "ConfigRecord" in source.text
                return Verdict((edit,), needs_record=not named)
        remark = Remark(source.path, call.lineno, _PUT if self._is_read() else _LOST)
        return Verdict(refused=(remark,)) if self._is_read() else Verdict(lost=(remark,))

    def _start(self, source: Source, call: ast.Call) -> ast.Call | None:
        """Return the only call of ``start`` on the only strategy of a variable."""
        parent = source.parents[call]
        if isinstance(parent, ast.Attribute):
            whole = source.parents[parent]
            return whole if isinstance(whole, ast.Call) and parent.attr == "start" else None
        found = []
        for other in source.calls():
            function = other.func
            if isinstance(function, ast.Attribute) and function.attr == "start":
                things = self._names.things(source, function.value)
                together = source.function(other) is source.function(call)
                if together and [t.node for t in things] == [call]:
                    found.append(other)
        return found[0] if len(found) == 1 else None

    def _into(self, source: Source, start: ast.Call, mu: str) -> Edit | None:
        """Return the edit that adds the number to what ``start`` is given."""
        given = [k.value for k in start.keywords if k.arg == "train_config"]
        if not given:
            if len(start.args) > 4:
                return None
            at = source.span(start)[1] - 1
            before = source.text[:at].rstrip()
            at = len(before)
            comma = "" if before.endswith((",", "(")) else ", "
            blank = _blank(source, start)
            return Edit(at, at, f'{comma or blank}train_config=ConfigRecord({{"{_KEY}": {mu}}})')
        record = given[0]
        entries = record.args[0] if isinstance(record, ast.Call) and record.args else record
        if not isinstance(entries, ast.Dict) or entries is record:
            return None
        if any(getattr(key, "value", None) == _KEY for key in entries.keys):
            return Edit(*(2 * (source.span(entries)[0],)), "")
        at = source.span(entries)[0] + 1
        return Edit(at, at, f'"{_KEY}": {mu}{", " if entries.keys else ""}')

    def _is_read(self) -> bool:
        """Return whether code of the project asks for the number, and must find it."""
        project = self._names.project
        return any(
            isinstance(node, ast.Subscript) and getattr(node.slice, "value", None) == _KEY
            for source in reach(project, project.client.source)
            for node in source.live
        )


def _blank(source: Source, start: ast.Call) -> str:
    """Return what comes before an argument on a line of its own, or nothing."""
    last: list[ast.expr | ast.keyword] = [*start.args, *start.keywords]
    if not last:
        return ""
    begin = source.span(last[-1])[0]
    line = source.text[source.line_start(begin) : begin]
    return f"{source.newline}{line}" if not line.strip() else " "
