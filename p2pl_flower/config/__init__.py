"""Options, declared once: name, type, default, rule and help of every key, and how keys are read.

A key is a field of a frozen dataclass, declared by `option` with `check_fields` in its
``__post_init__``; or by an `Option` of its own, where several classes have it. Whatever takes
options (a call from Python, a TOML file, Flower's run config, ``--set``, a command line) takes
them through here, and the tables of keys in the docs are made from the declarations.
"""

from __future__ import annotations

from .declaring import (
    REQUIRED,
    Converted,
    Option,
    check_fields,
    declared,
    group,
    key_of,
    keys,
    name_of,
    option,
)
from .reading import build, change, read_toml, typed
from .rules import ANY, Rule, Scalar, at_least, one_of, python, take, within
from .showing import add_argument, described, rows

__all__ = [
    "ANY",
    "REQUIRED",
    "Converted",
    "Option",
    "Rule",
    "Scalar",
    "add_argument",
    "at_least",
    "build",
    "change",
    "check_fields",
    "declared",
    "described",
    "group",
    "key_of",
    "keys",
    "name_of",
    "one_of",
    "option",
    "python",
    "read_toml",
    "rows",
    "take",
    "typed",
    "within",
]
