"""Ways to devices that nobody can dial: they dial out, and are called back over that.

Two TCP connections make such a way. A *control stream* (TLS, certificates on both sides) stays
open from the device that can only dial out to one that can be dialed. Over it comes a token for
every call; the device then dials once more, shows the token in clear, and from there on that
connection carries what a direct one would: TLS between the two devices, and gRPC in it. So
neighbors check each other exactly as they do over a direct connection, and whoever merely passes
bytes on (`p2pl-flower rendezvous`, where both ends can only dial out) has no key to them.
"""

from .tunnels import DIAL_OUT, Tunnels, serve_rendezvous

__all__ = ["DIAL_OUT", "Tunnels", "serve_rendezvous"]
