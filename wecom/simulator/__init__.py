"""The platform itself, faked at the wire: same addresses, error codes, limits and habits.

`make_simulator` serves a `World`; the product talks to it as it would to the real one.
"""

from wecom.simulator.app import make_simulator
from wecom.simulator.corp import App, Corp
from wecom.simulator.state import Contact, FollowRelation, Member, World

__all__ = ["App", "Contact", "Corp", "FollowRelation", "Member", "World", "make_simulator"]
