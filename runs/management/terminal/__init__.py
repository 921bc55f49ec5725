"""What the commands about runs have in common: reading what was typed, following a run live, and saying how it ended.

No rule lives here: it parses, calls the loop or one use-case, and renders. Text from models, tools and files passes audit.visible.
"""

from .attending import attend
from .inputs import instant_given, inputs_given, known_run
from .screen import Screen, add_json, teaching_parser
from .summary import summary

__all__ = ["Screen", "add_json", "attend", "inputs_given", "instant_given", "known_run", "summary", "teaching_parser"]
