"""How options are declared, in classes that hold them and for several classes at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import ConfigError
from .rules import ANY, Rule, take

T = TypeVar("T")
Kept = TypeVar("Kept")
Given = TypeVar("Given")

REQUIRED: Any = object()
"""The default of what must be given."""

_KINDS = {"int": int, "float": float, "str": str, "bool": bool}
_OPTION, _GROUP = "p2pl-option", "p2pl-group"
_DECLARED: dict[type, dict[str, Option]] = {}


class Converted(Generic[Kept, Given]):
    """How a field is annotated that takes ``Given`` and, once it is converted, is ``Kept``."""

    if TYPE_CHECKING:

        def __get__(self, owner: object, kind: type) -> Kept: ...
        def __set__(self, owner: object, value: Given) -> None: ...


@dataclass(frozen=True)
class Option:
    """The declaration of one key.

    Parameters
    ----------
    help : str
        What it means, and what values it can have where its rule does not list them.
    rule : Rule
        What a value must be besides being of its type.
    default : Any
        As flat keys have it; `REQUIRED` where it must be given.
    name : str
        The key; that of the field if left out.
    kind : type
        Type of the flat value; that of the field's annotation if left out.
    optional : bool
        Whether None stands for no value, from Python.
    converted : bool
        Whether its class makes an object of the flat text, or takes one.
    is_path : bool
        Whether it is a path, relative to the file that it stands in.
    """

    help: str
    rule: Rule = ANY
    default: Any = REQUIRED
    name: str = ""
    kind: type = object
    optional: bool = False
    converted: bool = False
    is_path: bool = False

    def field(self, default: Any = None, **changes: Any) -> Any:
        """Return a dataclass field of this option, with what is declared otherwise there."""
        changes |= {} if default is None else {"default": default}
        made = dataclasses.replace(self, **changes)
        if made.kind is dict and made.default is not REQUIRED:
            return field(default_factory=lambda: dict(made.default), metadata={_OPTION: made})
        known = dataclasses.MISSING if made.default is REQUIRED else made.default
        return field(default=known, metadata={_OPTION: made})

    def take(self, value: object, error: type[ConfigError] = ConfigError) -> Any:
        """Return a flat value of the right type, or refuse it; see `take`."""
        if value is None and self.optional:
            return None
        return take(self.name, value, self.kind, self.rule, error)


@dataclass(frozen=True)
class Group:
    """The declaration of a field that holds another class of options.

    Parameters
    ----------
    kind : type
        The other class.
    table : str
        Table in which its keys stand in a file; none, and they stand beside the others.
    defaults : Mapping[str, Any]
        By attribute, what has another default here.
    """

    kind: type[Any]
    table: str
    defaults: Mapping[str, Any]

    def keys(self) -> dict[str, Option]:
        """Return the options by their own keys, with the names and defaults they have here."""
        prefix = f"{self.table}." if self.table else ""
        changed = {key_of(name): {"default": value} for name, value in self.defaults.items()}
        return {
            key: dataclasses.replace(known, name=prefix + key, **changed.get(key, {}))
            for key, known in keys(self.kind).items()
        }


def option(default: Any = REQUIRED, *, help: str, **rest: Any) -> Any:  # noqa: A002
    """Declare an option that one class alone has; see `Option` for ``rest``."""
    return Option(help, default=default, **rest).field()


def group(kind: type[T], table: str = "", **defaults: Any) -> Any:
    """Declare a field that holds another class of options, see `Group`: its keys are keys here."""
    given = Group(kind, table, defaults)
    return field(default_factory=lambda: kind(**defaults), metadata={_GROUP: given})


def key_of(name: str) -> str:
    """Return the key of an attribute."""
    return name.replace("_", "-")


def name_of(key: str) -> str:
    """Return the attribute of a key."""
    return key.replace("-", "_")


def declared(cls: type) -> dict[str, Option]:
    """Return the options by attribute that a class itself declares, those of its groups not."""
    if cls not in _DECLARED:
        options = (f for f in dataclasses.fields(cls) if _OPTION in f.metadata)
        _DECLARED[cls] = {f.name: _completed(f) for f in options}
    return _DECLARED[cls]


def groups(cls: type) -> dict[str, Group]:
    """Return a class's groups by attribute."""
    return {f.name: f.metadata[_GROUP] for f in dataclasses.fields(cls) if _GROUP in f.metadata}


def keys(cls: type) -> dict[str, Option]:
    """Return all options of a class by key, those of its groups among them, in order."""
    own, held = declared(cls), groups(cls)
    found: dict[str, Option] = {}
    for f in dataclasses.fields(cls):
        options = [own[f.name]] if f.name in own else []
        options += held[f.name].keys().values() if f.name in held else []
        found |= {known.name: known for known in options}
    return found


def check_fields(made: Any) -> None:
    """Check a frozen dataclass's declared fields, and make them Python's own types, in place.

    What is `converted` is left to the class.

    Raises
    ------
    ConfigError
        Names the key, its value, the rule and the valid choices.
    """
    for name, known in declared(type(made)).items():
        if not known.converted:
            object.__setattr__(made, name, known.take(getattr(made, name)))


def _completed(f: dataclasses.Field[Any]) -> Option:
    """Return a field's option with what its name and annotation say."""
    said = f.type if isinstance(f.type, str) else getattr(f.type, "__name__", "")
    kind, _, rest = said.partition(" | ")
    known: Option = f.metadata[_OPTION]
    return dataclasses.replace(
        known,
        name=known.name or key_of(f.name),
        kind=_KINDS.get(kind, str) if known.kind is object else known.kind,
        optional=known.optional or rest == "None",
    )
