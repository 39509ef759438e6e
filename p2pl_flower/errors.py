"""What can go wrong, as a tree with one root.

::

    P2PLError
    ├── ConfigError (also a ValueError)   an option with a value it cannot have
    │   ├── TopologyError                 a graph that cannot be made or used
    │   └── WeightsError                  mixing weights that break their rule
    ├── LayoutError (also a ValueError)   models whose arrays do not fit each other
    ├── RelayError                        a model could not be moved
    │   └── UnavailableError              a relay that is gone, has begun anew or has no room
    ├── ForgottenError                    a device has lost its model, or what it was told
    └── DeviceError                       a device failed, or none answered
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class P2PLError(Exception):
    """Root of all errors that this package raises on purpose."""


class ConfigError(P2PLError, ValueError):
    """An option has a value that it cannot have.

    Parameters
    ----------
    argument : str
        Name of the option, as the user wrote it.
    value : object
        The value that was given.
    rule : str
        What a valid value must satisfy, and what to do about it.
    choices : Iterable[str]
        The valid values, where they can be listed.
    """

    def __init__(
        self, argument: str, value: object, rule: str, choices: Iterable[str] = ()
    ) -> None:
        self.argument, self.value, self.rule = argument, value, rule
        self.choices = tuple(choices)
        listed = f"; choose one of: {', '.join(self.choices)}" if self.choices else ""
        super().__init__(f"{argument}={value!r}: {rule}{listed}")

    def __reduce__(self) -> tuple[type[ConfigError], tuple[object, ...]]:
        """Rebuild from the arguments, so that the error survives a process border."""
        return type(self), (self.argument, self.value, self.rule, self.choices)


class ManyConfigError(ConfigError):
    """Several options have values that they cannot have: a line for each.

    Parameters
    ----------
    errors : Sequence[ConfigError]
        Two or more.
    """

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        self.errors = tuple(errors)
        first = errors[0]
        super().__init__(first.argument, first.value, first.rule, first.choices)
        self.args = ("\n".join(map(str, errors)),)

    def __reduce__(self) -> tuple[type[ManyConfigError], tuple[object, ...]]:
        """Rebuild from the errors."""
        return type(self), (self.errors,)


def raise_all(errors: Sequence[ConfigError]) -> None:
    """Raise all errors at once, if there are any."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ManyConfigError(errors)


class TopologyError(ConfigError):
    """A graph cannot be made from these arguments, or cannot be used."""


class WeightsError(ConfigError):
    """Mixing weights break the rule that makes consensus work."""


class LayoutError(P2PLError, ValueError):
    """Two models that should be averaged differ in array names, shapes or dtypes."""


class RelayError(P2PLError):
    """A relay could not be opened, or could not move a model."""


class UnavailableError(RelayError):
    """A relay is gone, has begun anew, or has no room: what one device alone suffers from."""


class ForgottenError(P2PLError):
    """A device has lost its model, or what it was told: its mailbox has begun anew."""


class DeviceError(P2PLError):
    """A device's own code failed, or no device answered at all."""
