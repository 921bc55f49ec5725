"""People are told: what was put into the outbox becomes a message for each who is to hear of it, and each is sent until it arrives or is given up.

Nothing is decided here and nothing told that its reader may not see. Called beside the sweeps; knows the network by its two ways out, mail and hooks.
"""

from .delivering import DELIVERIES, MAILS, POSTS, deliver_due, finish, look, spread

__all__ = ["DELIVERIES", "MAILS", "POSTS", "deliver_due", "finish", "look", "spread"]
