"""What must hold of what is undone: after the end was decided, in reverse order, each once, and all of it accounted for."""

from collections.abc import Mapping

from .families import FamilyRules
from .seeing import OPEN, UNDO, Row

COME_TO_NOTHING = ("failed", "rejected", "cancelled")


class UndoRules(FamilyRules):
    """`_undoes` looks at each compensation as it is opened, `_accounted` at a run that has come to nothing."""

    @property
    def undoes_now(self) -> bool:
        return any(row["state"] == "running" for (_, key), row in self.steps.items() if key.startswith(UNDO))

    def _undoes(self, row: Row, steps: Mapping[str, Row], pipeline: str) -> None:
        key = row["key"].removeprefix(UNDO)
        acted = steps.get(key)
        self._must(acted is not None and acted["state"] == "returned", "only what has acted is undone", key)
        others = [each["key"] for each in steps.values() if each["state"] in OPEN and each["key"] != row["key"]]
        self._must(not others, "one thing is undone at a time, when nothing else is under way", f"{row['key']} beside {others}")
        if acted is None:
            return
        mine = (acted["finished_at"], key)
        later = [each["key"] for each in steps.values() if self._is_undoable(each, pipeline) and (each["finished_at"], each["key"]) > mine]
        left = [other for other in later if UNDO + other not in steps]
        self._must(not left, "what was done last is undone first", f"{key} before {left}")

    def _is_undoable(self, row: Row, pipeline: str) -> bool:
        has_undo = self.world.scenario.node(pipeline, row["node"]).get("compensate") is not None
        return row["state"] == "returned" and not row["key"].startswith(UNDO) and has_undo

    def _accounted(self, run: Row, steps: Mapping[str, Row]) -> None:
        said = self.finishes.get(run["id"], {})
        undone, left = set(said.get("undone", ())), {each["step"] for each in said.get("not_undone", ())}
        self._must(not undone & left, "what was undone is not left", str(undone & left))
        wrong = [key for key in undone if steps.get(UNDO + key) is None or steps[UNDO + key]["state"] != "returned"]
        self._must(not wrong, "what is called undone was undone", str(wrong))
        if run["outcome"] in COME_TO_NOTHING:
            acted = {step for name, step in self.world.outside.acted_in(run["id"]) if not step.startswith(UNDO)}
            self._must(acted <= undone | left, "what a run did and came to nothing is accounted for", f"{sorted(acted - undone - left)}")
            self._accounted_below(run, said)
