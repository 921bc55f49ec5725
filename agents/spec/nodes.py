"""Reads the nodes of a pipeline (step, parallel, for_each, switch, verify, wait, approval, pipeline) into their normal form, with their lines.

Must not know agents or scopes. Used by the pipeline reader.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from agents.spec.documents import Path
from agents.spec.fields import IDENTIFIER, Fields, Page, described

MAX_RETRIES = 10
DEFAULT_CONCURRENCY = 8
MAX_CONCURRENCY = 256
MAX_SPREAD = 64
DEFAULT_ROUNDS = 3
MAX_ROUNDS = 10

_KINDS = ("parallel", "for_each", "switch", "verify", "wait", "approval", "pipeline")
KEYS = frozenset(
    (
        "id agent with timeout progress_timeout retry fallback on_failure when approve_when compensate lookup "
        "min_success as max_concurrency do spread"
    ).split()
) | set(_KINDS)
"""What any node may say; which may say what is read node by node."""
_LATER_NODES = {
    "supervisor": "use steps, parallel and for_each",
    "handoff": "use steps and switch",
    "group_chat": "use steps",
    "magentic": "use steps",
}


class NodeReader:
    """Reads sequences of nodes and counts the composites that have no id of their own."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.counts: dict[str, int] = {}

    def sequence(self, value: Any, *, raw: Path, spec: Path, what: str) -> list[dict[str, Any]]:
        """The nodes of a list; what is no node is a problem and left out."""
        self.page.mark(raw, spec)
        if not isinstance(value, list):
            self.page.problem(raw, f"{what} must be a list of nodes (each begins with '- '), not {described(value)}")
            return []
        if not value:
            self.page.problem(raw, f"{what} is empty; write at least one node such as {{id: read, agent: feed-reader}}")
        nodes: list[dict[str, Any]] = []
        for index, item in enumerate(value):
            place, since = (*spec, len(nodes)), len(self.page.lost)
            node = self._node(item, (*raw, index), place)
            if node is not None:
                nodes.append(node)
            else:
                self._lose(item, place, since)
        return nodes

    def _lose(self, item: Any, place: Path, since: int) -> None:
        """A node that is left out: the next one stands in its place, and what it would have given may be named all the same."""
        self.page.unread -= {path for path in self.page.lost[since:] if path[: len(place)] == place}
        self.page.lose(place[:-1])
        self._lose_name(item.get("id") if isinstance(item, dict) else None)

    def _lose_name(self, said: Any) -> None:
        self.page.unread_names.add(said if isinstance(said, str) else "")

    def _node(self, value: Any, raw: Path, spec: Path) -> dict[str, Any] | None:
        fields = Fields(self.page, value, raw=raw, spec=spec, what="a node")
        if not isinstance(value, dict):
            return None
        kinds = [kind for kind in ("agent", *_KINDS) if kind in value]
        if len(kinds) != 1:
            self._refuse_kinds(fields, kinds)
            return None
        if kinds[0] == "agent":
            return self._step(fields)
        fields.what = f"a {kinds[0]} node"
        node: dict[str, Any] = {"kind": kinds[0], "id": self._id(fields, kinds[0])}
        node |= getattr(self, f"_{kinds[0]}")(fields)
        if kinds[0] != "verify":
            node |= self._common(fields)
        fields.finish(_LATER_NODES)
        if fields.meant & {"id", "as"}:
            self._lose_name(None)
        return node

    def _refuse_kinds(self, fields: Fields, kinds: list[str]) -> None:
        later = [kind for kind in _LATER_NODES if kind in fields.value]
        if kinds:
            self.page.problem(fields.raw, f"a node is one thing, and this one has {' and '.join(kinds)}; make two nodes")
        elif later:
            self.page.problem((*fields.raw, later[0]), f"the node {later[0]!r} is not supported by this version; {_LATER_NODES[later[0]]}")
        else:
            self._refuse_nothing(fields)

    def _refuse_nothing(self, fields: Fields) -> None:
        """A node whose only fault may be that its kind is misspelt: then the near key says what to do."""
        known = ("agent", *_KINDS)
        if not any(near in known for key in fields.value.keys() - KEYS for near in get_close_matches(key, KEYS, n=1)):
            self.page.problem(fields.raw, f"this node says nothing to do; it needs one of {', '.join(known)}")
        fields.asked |= KEYS
        fields.finish(_LATER_NODES)

    def _id(self, fields: Fields, kind: str) -> str | None:
        """A composite's own id, else parallel_1, parallel_2, … in the order of the file."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        name = fields.name("id", pattern=IDENTIFIER)
        if name is None and fields.has("id"):
            self._lose_name(fields.value["id"])
        return name or f"{kind}_{self.counts[kind]}"

    def _step(self, fields: Fields) -> dict[str, Any]:
        name = fields.name("id", required="id: a short name for this step", pattern=IDENTIFIER)
        fields.what = f"the step {name!r}" if name else "a step"
        if name is None:
            self._lose_name(fields.value.get("id"))
        node = {
            "kind": "step",
            "id": name,
            "agent": fields.name("agent", required="agent: the agent's name"),
            "with": fields.mapping("with") or {},
            "timeout_ms": fields.duration("timeout"),
            "progress_timeout_ms": fields.duration("progress_timeout"),
            "retry": self._retry(fields),
            "fallback": fields.name("fallback"),
            **self._common(fields),
        }
        if fields.has("compensate"):  # not in every normal form: a version's digest is of what it says
            node["compensate"] = self._compensate(fields)
        if fields.has("lookup"):
            node["lookup"] = fields.name("lookup")
        if fields.has("approve_when"):
            node["approve_when"] = self._approve_when(fields)
        fields.finish(_LATER_NODES)
        return node

    def _compensate(self, fields: Fields) -> dict[str, Any]:
        inner = fields.inner("compensate")
        undo = {
            "agent": inner.name("agent", required="agent: the agent that undoes this step"),
            "with": inner.mapping("with") or {},
            "timeout_ms": inner.duration("timeout"),
        }
        inner.finish()
        return undo

    def _approve_when(self, fields: Fields) -> dict[str, Any]:
        """Which results of a step people look at before anybody reads them; under which policy, and how often they may send one back."""
        if not isinstance(fields.value["approve_when"], dict):
            return {"when": self._condition(fields, "approve_when"), "policy": None, "rounds": DEFAULT_ROUNDS}
        inner = fields.inner("approve_when")
        gate = {
            "when": self._condition(inner, "when", required="when: output.confidence < 0.8"),
            "policy": inner.name("policy"),
            "rounds": inner.integer("rounds", least=0, most=MAX_ROUNDS, default=DEFAULT_ROUNDS),
        }
        inner.finish()
        return gate

    def _common(self, fields: Fields) -> dict[str, Any]:
        return {
            "on_failure": fields.choice("on_failure", ("stop", "degrade"), default="stop"),
            "when": self._condition(fields, "when"),
        }

    def _condition(self, fields: Fields, key: str, *, required: str | None = None) -> str | None:
        said = fields.text(key, required=required) if required else fields.text(key)
        if said is not None and said.startswith("="):
            fields.wrong(key, "is a condition already; leave the = at its beginning out")
        return said.strip() if said is not None else None

    def _retry(self, fields: Fields) -> dict[str, int] | None:
        value = fields.get("retry")
        if value is None:
            return None
        if not isinstance(value, dict):
            most = fields.integer("retry", least=0, most=MAX_RETRIES)
            return {"max": most, "backoff_ms": 1_000} if most else None
        inner = fields.inner("retry")
        most = inner.integer("max", least=1, most=MAX_RETRIES)
        backoff = inner.duration("backoff", default=1_000)
        inner.finish()
        if not inner.says("max"):
            fields.wrong("retry", "has no max; write {max: 2, backoff: 1s}")
        return {"max": most, "backoff_ms": backoff or 1_000} if most else None

    # Composites ------------------------------------------------------------------------------------------------------------------

    def _parallel(self, fields: Fields) -> dict[str, Any]:
        inner = fields.inner("parallel", spec_key="branches")
        branches: dict[str, list[dict[str, Any]]] = {}
        for name, value in inner.value.items():
            raw = (*inner.raw, name)
            if not IDENTIFIER.fullmatch(name):
                self.page.note(raw, f"the branch {name[:80]!r} must be named with small letters, digits and underscores")
            branches[name] = self.sequence(value, raw=raw, spec=(*inner.spec, name), what=f"the branch {name!r}")
        if inner.readable and not branches:
            fields.wrong("parallel", "has no branches; write {a: [{id: …, agent: …}], b: […]}")
        return {"branches": branches, "min_success": self._min_success(fields)}

    def _for_each(self, fields: Fields) -> dict[str, Any]:
        items = fields.text("for_each", required="for_each: =steps.read.items", spec_key="items")
        if items is not None and (not items.startswith("=") or items.startswith("==")):
            fields.wrong("for_each", f"is {items[:80]!r}; it must be an expression for a list, as in =steps.read.items")
        name = fields.name("as", required="as: the name of one item", pattern=IDENTIFIER)
        if name is None:
            self._lose_name(fields.value.get("as"))
        body = fields.get("do", required="do: a list of nodes")
        node = {
            "items": items,
            "as": name,
            "max_concurrency": fields.integer("max_concurrency", least=1, most=MAX_CONCURRENCY, default=DEFAULT_CONCURRENCY),
            "do": [] if body is None else self.sequence(body, raw=(*fields.raw, "do"), spec=(*fields.spec, "do"), what="'do'"),
            "min_success": self._min_success(fields),
        }
        if fields.has("spread"):  # not in every normal form: a version's digest is of what it says
            node["spread"] = fields.integer("spread", least=2, most=MAX_SPREAD)
        return node

    def _switch(self, fields: Fields) -> dict[str, Any]:
        value = fields.get("switch", spec_key="cases", required="switch: a list of {when: …, do: […]}")
        if not isinstance(value, list) or not value:
            fields.wrong("switch", "must be a list of {when: …, do: […]}, with {default: […]} last")
            return {"cases": []}
        cases = []
        for index, case in enumerate(value):
            cases.append(self._case(fields, case, index, last=index == len(value) - 1))
        return {"cases": cases}

    def _case(self, fields: Fields, value: Any, index: int, *, last: bool) -> dict[str, Any]:
        raw, spec = (*fields.raw, "switch", index), (*fields.spec, "cases", index)
        case = Fields(self.page, value, raw=raw, spec=spec, what="a case of switch")
        if case.has("default"):
            key, when = "default", None
            if not last:
                self.page.note(raw, "the default case must be the last one; nothing after it would ever be taken")
        else:
            key, when = "do", case.text("when", required="when: a condition, or default: […]")
        body = case.get(key, required=f"{key}: a list of nodes", spec_key="do")
        case.finish()
        do = [] if body is None else self.sequence(body, raw=(*raw, key), spec=(*spec, "do"), what=f"{key!r}")
        return {"when": when, "do": do}

    def _verify(self, fields: Fields) -> dict[str, Any]:
        inner = fields.inner("verify")
        node = {
            "agent": inner.name("agent", required="agent: the agent that verifies"),
            "with": inner.mapping("with") or {},
            "timeout_ms": inner.duration("timeout"),
        }
        inner.finish()
        self._lift(fields, inner, node)
        return node

    def _pipeline(self, fields: Fields) -> dict[str, Any]:
        return {
            "pipeline": fields.name("pipeline", required="pipeline: the name of a published pipeline"),
            "with": fields.mapping("with") or {},
            "timeout_ms": fields.duration("timeout"),
        }

    def _wait(self, fields: Fields) -> dict[str, Any]:
        inner = fields.inner("wait")
        node: dict[str, Any] = {
            "for_ms": inner.duration("for"),
            "until": inner.text("until"),
            "signal": inner.name("signal"),
            "timeout_ms": inner.duration("timeout"),
            "on_expiry": inner.choice("on_expiry", ("fail", "continue"), default="fail"),
            "output": inner.mapping("output"),
        }
        inner.finish()
        said = [key for key in ("for", "until", "signal") if inner.says(key)]
        if not inner.readable:
            pass  # said already
        elif len(said) != 1:
            fields.wrong("wait", "says one of for: 10m, until: =steps.read.at, or signal: a-name with its timeout")
        elif said != ["signal"]:
            for key in {"timeout", "on_expiry", "output"} & inner.value.keys():
                inner.wrong(key, "belongs to a signal; time ends this wait by itself")
        elif not inner.says("timeout"):
            fields.wrong("wait", "has no timeout; write until when the signal may come, as in timeout: 2d")
        self._lift(fields, inner, ("for_ms", "until", "signal", "timeout_ms", "on_expiry", "output"))
        return node

    def _approval(self, fields: Fields) -> dict[str, Any]:
        """What people say yes to, under which policy; they may change it where `output` says what it has to be."""
        inner = fields.inner("approval")
        node: dict[str, Any] = {
            "policy": inner.name("policy"),
            "subject": inner.mapping("subject") or {},
            "output": inner.mapping("output"),
            "timeout_ms": inner.duration("timeout"),
        }
        inner.finish()
        if not node["subject"] and not self.page.rest().holds((*inner.spec, "subject")):
            fields.wrong("approval", "has no subject; write what people are to say yes to, as in subject: {version: =steps.build.version}")
        self._lift(fields, inner, tuple(node))
        return node

    def _lift(self, fields: Fields, inner: Fields, keys: Iterable[str]) -> None:
        """In the normal form they stand in the node itself."""
        within, (marked, lost), heads = len(inner.spec), inner.since, {(key,) for key in keys}
        for path in [path for path in self.page.lost[lost:] if path[:within] == inner.spec]:
            self.page.unread.discard(path)
            self.page.lose((*fields.spec, *path[within:]))
        for path in [path for path in self.page.marked[marked:] if path[:within] == inner.spec and path[within : within + 1] in heads]:
            self.page.lines[(*fields.spec, *path[within:])] = self.page.lines[path]

    def _min_success(self, fields: Fields) -> str | int:
        value = fields.get("min_success")
        if value is None or value in ("all", "any"):
            return value or "all"
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            return value
        fields.wrong("min_success", f"is {described(value)}; write all, any or a whole number from 1")
        return "all"
