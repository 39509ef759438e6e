"""The command ``p2pl-flower``: finds the sub-command's module and leaves the rest to it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from .errors import P2PLError

COMMANDS = {
    "doctor": "say what a Flower project would have to change to train peer to peer",
    "certs": "make a certificate authority and a certificate for each device",
    "invite": "let a device into a group: print an invitation for it",
    "join": "join a group by an invitation, and run this device's rounds",
    "revoke": "take the certificates of devices back",
    "cluster": "try it out: several peers as processes of this machine, with no server",
    "peer": "run one device of a network, with no server",
    "rendezvous": "let devices meet that can only dial out; what they say passes through unread",
    "watch": "show how running peers do, all the time, here and in the browser",
    "status": "say how far a running peer is, and what its neighbors answer",
    "export": "write the model in a peer's checkpoint as a file of its own",
    "relay": "run the relay that stands beside a SuperNode of a Flower federation",
}
"""Sub-commands: each is a module of `p2pl_flower.commands` with ``add_arguments`` and ``run``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; a user's mistake ends with one sentence and exit code 2."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what goes wrong, we say ourselves
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser(given).parse_args(given)
    try:
        return int(options.run(options))
    except P2PLError as error:
        sys.stderr.write(f"p2pl-flower {options.command}: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


def parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of a command line; only the module of its own sub-command is imported."""
    made = argparse.ArgumentParser(
        prog="p2pl-flower",
        description="Serverless peer-to-peer deep learning (P2PL) for Flower.",
        epilog="`p2pl-flower COMMAND --help` tells more about each.",
    )
    shown = f"%(prog)s {version('p2pl-flower')}"
    made.add_argument("--version", action="version", version=shown)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if list(given[:1]) == [name]:
            module = import_module(f".commands.{name}", __package__)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return made


if __name__ == "__main__":
    sys.exit(main())
