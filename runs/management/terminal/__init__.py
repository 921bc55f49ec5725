"""What the commands about runs have in common: reading what was typed, following a run live, and saying how it ended.

No rule lives here: it parses, calls the loop or one use-case, and renders. Text from models, tools and files passes audit.visible.
"""

from .attending import attend
from .finishing import finish
from .inputs import inputs_given, instant_given
from .interrupts import Interrupts
from .screen import Screen, add_json
from .working import say_where_nobody_works

__all__ = ["Interrupts", "Screen", "add_json", "attend", "finish", "inputs_given", "instant_given", "say_where_nobody_works"]
