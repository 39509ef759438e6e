"""Formulas and references of docstrings, in the Markdown that the site is made of."""

from __future__ import annotations

import re
import textwrap
from typing import Any

from griffe import Extension
from latex2mathml.converter import convert

_DISPLAY = re.compile(r"^( *)\.\. math::(?P<body>[^\n]*\n(?:\1 +[^\n]*\n|\n(?=\1 ))*)", re.M)
_INLINE = re.compile(r":math:`([^`]+)`")
_ROLE = re.compile(r":(?:class|func|meth|mod):`~?([^`]+)`")


class Docstrings(Extension):  # type: ignore[misc, unused-ignore]
    """Rewrites each docstring as it is read."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if not obj.is_alias and obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    """Return a docstring with formulas as MathML, and references and roles as plain text."""
    text = _DISPLAY.sub(_display, text + "\n")
    text = _INLINE.sub(lambda match: convert(match[1]), text)
    text = _ROLE.sub(r"`\1`", text)
    text = re.sub(r"\[(\d+)\]_", r"[\1]", text)
    return re.sub(r"^( *)\.\. \[(\d+)\] ", r"\1\\[\2\\] ", text, flags=re.M).rstrip("\n")


def _display(match: re.Match[str]) -> str:
    body = " ".join(textwrap.dedent(match["body"]).split())
    return f'{match[1]}<p class="math">{convert(body, display="block")}</p>\n'
