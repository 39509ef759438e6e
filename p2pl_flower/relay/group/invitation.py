"""An invitation: one line of text that lets one device into a group, for a while."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ...errors import ConfigError
from .signing import digest, is_signed, signed

_KIND = "invitation"
_PREFIX = "p2pl-"
_LONGEST = 4096
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
"""What a device may be called: small letters, digits and hyphens, 40 at most."""


@dataclass(frozen=True)
class Invitation:
    """What the authority has said to somebody.

    Attributes
    ----------
    address : str
        ``host:port`` of who hands out the certificate.
    name : str
        What the device is to be called; "" leaves that to it.
    expires : int
        Until when it holds, in seconds since 1970.
    nonce : str
        Tells invitations apart: each lets one device in.
    authority : str
        Digest of the authority's certificate, so that nobody else can pose as it.
    signature : str
        Of all that, by the authority.
    """

    address: str
    name: str
    expires: int
    nonce: str
    authority: str
    signature: str = ""

    @classmethod
    def make(
        cls,
        authority: x509.Certificate,
        key: ec.EllipticCurvePrivateKey,
        address: str,
        seconds: float,
        name: str = "",
    ) -> Invitation:
        """Sign an invitation that holds for some seconds from now."""
        check_name(name, or_none=True)
        expires, nonce = int(time.time() + seconds), secrets.token_hex(8)
        made = cls(address, name, expires, nonce, digest(authority))
        return replace(made, signature=signed(key, _KIND, made._fields()))

    @classmethod
    def read(cls, text: str) -> Invitation:
        """Return the invitation that a text holds; who signed it is not checked here.

        Raises
        ------
        ConfigError
            The text holds none.
        """
        rule = "is no invitation as `p2pl-flower invite` prints it: copy the whole line"
        text = "".join(text.split())
        if not text.startswith(_PREFIX) or len(text) > _LONGEST:
            raise ConfigError("invitation", text[:20], rule)
        body = text.removeprefix(_PREFIX)
        try:
            said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
            made = cls(**said)
        except (ValueError, TypeError, RecursionError):
            raise ConfigError("invitation", text[:20], rule) from None
        kinds = {name: int if name == "expires" else str for name in said}
        if not all(type(value) is kinds[name] for name, value in said.items()):
            raise ConfigError("invitation", text[:20], rule)
        return made

    def text(self) -> str:
        """Return it as one line of text."""
        said = json.dumps({**self._fields(), "signature": self.signature}, separators=(",", ":"))
        return _PREFIX + base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")

    def trouble(self, authority: x509.Certificate) -> str | None:
        """Say why it lets nobody in, if so."""
        if self.authority != digest(authority):
            return "the invitation is to another group"
        if not is_signed(authority, _KIND, self._fields(), self.signature):
            return "the invitation is not signed by the group's authority"
        if time.time() > self.expires:
            return "the invitation has expired: ask for another one"
        return None

    def _fields(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "name": self.name,
            "expires": self.expires,
            "nonce": self.nonce,
            "authority": self.authority,
        }


def check_name(name: str, or_none: bool = False) -> None:
    """Refuse what no device may be called.

    Raises
    ------
    ConfigError
        The name is not one.
    """
    if not (or_none and not name) and not NAME.fullmatch(name):
        rule = "must be 1 to 40 small letters, digits and hyphens, such as kitchen-pi"
        raise ConfigError("name", name, rule)
