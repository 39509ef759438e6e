"""A group that devices join by invitation, and can be put out of.

The group's authority is whoever holds ``ca.key``. It signs invitations, certificates of those
who come with one, and the list of those whose certificates count no longer.
"""

from .invitation import Invitation
from .revocations import Revocations
from .standing import Standing

__all__ = ["Invitation", "Revocations", "Standing"]
