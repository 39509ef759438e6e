"""How what users write becomes values and objects: keys, and texts such as ``regular:d=4``.

Options are declared once, with name, type, default, rule and help: as fields of frozen
dataclasses, by `option`, with `check_fields` in ``__post_init__``; or as an `Option`, where
several classes have it. Whatever takes options (a call from Python, a TOML file, Flower's run
config, ``--set``, a command line) takes them through here, and the tables of keys in the docs
are made from the declarations.

A `Table` has the things that an option can be by name, one's own and those of plugins;
`text_of` is the way back, by which objects travel to devices.
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
from .paths import found_at, look_here, path_of
from .reading import build, change, read_toml, typed
from .rules import ANY, Rule, Scalar, at_least, one_of, python, take, within
from .showing import add_argument, add_shortcut, described, rows
from .tables import Table
from .texts import cannot_travel, described_text, same, text_of

__all__ = [
    "ANY",
    "REQUIRED",
    "Converted",
    "Option",
    "Rule",
    "Scalar",
    "Table",
    "add_argument",
    "add_shortcut",
    "at_least",
    "build",
    "cannot_travel",
    "change",
    "check_fields",
    "declared",
    "described",
    "described_text",
    "found_at",
    "group",
    "key_of",
    "keys",
    "look_here",
    "name_of",
    "one_of",
    "option",
    "path_of",
    "python",
    "read_toml",
    "rows",
    "same",
    "take",
    "text_of",
    "typed",
    "within",
]
