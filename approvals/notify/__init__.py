"""People are told: what was put into the outbox becomes a message for each who is to hear of it, and each is sent until it arrives or is given up.

Nothing is decided here and nothing told that its reader may not see. Called beside the sweeps; knows the network by its two ways out, mail and hooks.
"""

from .delivering import DELIVERY, deliver_due, look, spread

__all__ = ["DELIVERY", "deliver_due", "look", "spread"]
