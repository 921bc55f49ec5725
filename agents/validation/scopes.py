"""Which names an expression may use at a place, and what is known of the values behind them.

Must not know what the expression is for. Used by the rules of wiring.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agents import expressions
from agents.expressions.paths import Segment, bare_path, written
from agents.spec import Path
from agents.validation.findings import Findings, nearest
from agents.validation.shapes import Missing, Shape, declared, misfit, part

HINT = "compare it, as in size(result.items) > 0"

_RUN = Shape(
    {
        "type": "object",
        "properties": {"id": {"type": "string"}, "as_of": {"type": ["string", "null"]}, "draft": {"type": "boolean"}},
        "required": ["id", "as_of", "draft"],
        "additionalProperties": False,
    },
    promised=True,
)


@dataclass(frozen=True)
class Scope:
    """The names at one place: the input, what earlier nodes gave, loop items and, at the end, the result."""

    input: Shape | None
    steps: Mapping[str, Shape | None] = field(default_factory=dict)
    items: Mapping[str, Shape | None] = field(default_factory=dict)
    from_work: frozenset[str] = frozenset()  # loop names whose items come from a step
    verdicts: frozenset[str] = frozenset()  # ids (and perhaps `result`) that hold a verdict, not work
    result: tuple[Shape | None] | None = None
    everywhere: frozenset[str] = frozenset()  # every id of the pipeline, to explain a miss

    def after(self, name: str | None, shape: Shape | None, *, verdict: bool = False) -> "Scope":
        """The scope behind a node; the same one where its name can't be read."""
        if name is None:
            return self
        verdicts = self.verdicts | {name} if verdict else self.verdicts
        return replace(self, steps={**self.steps, name: shape}, verdicts=verdicts)

    def inside(self, name: str | None, item: Shape | None, *, from_work: bool) -> "Scope":
        """The scope in the body of a loop."""
        if name is None:
            return self
        return replace(self, items={**self.items, name: item}, from_work=self.from_work | {name} if from_work else self.from_work)

    def names_work(self, source: str) -> bool:
        """Whether an expression uses something that a step produced."""
        for reference in expressions.references(source):
            if reference[0] in self.from_work or (reference[0] == "result" and "result" not in self.verdicts):
                return True
            if reference[0] == "steps" and len(reference) > 1 and reference[1] not in self.verdicts:
                return True
        return False


def check_expression(source: str, scope: Scope, findings: Findings, path: Path) -> Shape | None:
    """Refuses what can't be compiled or names what isn't there; returns the shape of a bare path's value."""
    problems = expressions.compile_problems(source)
    if problems:
        for problem in problems if source.strip() not in findings.uncompiled else ():
            findings.add(path, f"the expression {source.strip()[:120]!r} can't be used: {problem}")
        return None
    segments = bare_path(source)
    if segments is not None:
        return check_path(segments, scope, findings, path)
    for reference in sorted(expressions.references(source)):
        check_path(reference, scope, findings, path)
    return None


def check_condition(source: str, scope: Scope, findings: Findings, path: Path) -> None:
    """As `check_expression`, of what must give true or false: refuses what never can, as far as its text and the contracts show."""
    shape = check_expression(source, scope, findings, path)
    gives = None if expressions.compile_problems(source) else expressions.never_true_or_false(source)
    if gives is None and shape is not None and misfit({"type": "boolean"}, Shape(shape.schema, promised=False)):
        gives = "something else by its contract"
    if gives is not None:
        findings.add(path, f"the condition {source.strip()[:120]!r} gives {gives} and never true or false; {HINT}")


def check_path(segments: tuple[Segment, ...], scope: Scope, findings: Findings, path: Path) -> Shape | None:
    """Follows a path through the shapes in scope."""
    found = _root(segments, scope, findings, path)
    if found is None:
        return None
    shape, used = found
    for depth in range(used, len(segments)):
        try:
            inner = part(shape, segments[depth])
        except Missing:
            findings.add(path, _missing(segments, depth, shape))
            return None
        shape = inner
    return shape


def _root(segments: tuple[Segment, ...], scope: Scope, findings: Findings, path: Path) -> tuple[Shape | None, int] | None:
    name = str(segments[0])
    if name == "input":
        return scope.input, 1
    if name in scope.items:
        return scope.items[name], 1
    if name == "run":
        return _RUN, 1
    if name == "result" and scope.result is not None:
        return scope.result[0], 1
    if name == "steps":
        return _step(segments, scope, findings, path)
    if not findings.unread.may_be(name):
        findings.add(path, _unknown_root(name, scope))
    return None


def _step(segments: tuple[Segment, ...], scope: Scope, findings: Findings, path: Path) -> tuple[Shape | None, int] | None:
    if len(segments) == 1 or not isinstance(segments[1], str):
        findings.add(path, "'steps' alone is no value; name a step, as in steps.read")
        return None
    name = segments[1]
    if name in scope.steps:
        return scope.steps[name], 2
    if findings.unread.may_be(name) and name not in scope.everywhere:
        return None
    if name in scope.everywhere:
        findings.add(path, f"no earlier step produces steps.{name} here: it runs later, or in another branch, case or loop body")
    else:
        findings.add(path, f"no earlier step produces steps.{name}{nearest(name, scope.steps)}")
    return None


def _unknown_root(name: str, scope: Scope) -> str:
    if name == "result":
        return "'result' stands only in verify and criteria; name the step, as in steps.write"
    if name in scope.everywhere:
        return f"nothing here is named {name!r}; a step's result is steps.{name}"
    known = ["input", "steps", "run", *scope.items, *(["result"] if scope.result else [])]
    return f"nothing here is named {name!r}{nearest(name, known)}"


def _missing(segments: tuple[Segment, ...], depth: int, shape: Shape | None) -> str:
    place, name = written(segments[:depth]), segments[depth]
    names = declared(shape)
    if isinstance(name, int) or not names:
        return f"{place} has no {written((name,))!r}: its contract says it is something else"
    who = {"run": "what a run tells of itself", "input": "the pipeline's input"}.get(str(segments[0]), f"the contract behind {place}")
    return f"{place} has no {name!r}; {who} names only: {', '.join(names[:12])}"
