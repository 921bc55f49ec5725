"""From the bytes of a folder's YAML files to documents by kind; two documents of one kind and name are a problem.

Must not know the disk: the caller hands the bytes over. Called by the registry.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from agents.spec.documents import Document, Parsed, Problem
from agents.spec.fields import Fields, Page, described
from agents.spec.inventory import read_agent, read_model, read_team
from agents.spec.pipelines import read_pipeline
from agents.spec.policies import read_policy
from agents.spec.yaml_reader import Raw, read_yaml

_READERS: dict[str, Callable[[Fields], dict[str, Any]]] = {
    "team": read_team,
    "agent": read_agent,
    "pipeline": read_pipeline,
    "model": read_model,
    "policy": read_policy,
}
_LATER_KINDS = {
    "grant": "write `permissions` in the agent",
    "budget": "write `limits` in the pipeline",
}
_LATER_KEYS = {
    "members": "who belongs to a team is said by `manage.py members`, not in files; leave this out",
    "tools": "name what the agent touches in `uses`",
    "schedule": "start runs from your own scheduler",
}

_ELSEWHERE = {
    "approve_when": "belongs to a step of a pipeline",
    "approval": "is a node among a pipeline's `steps`",
}


def read(files: Mapping[str, bytes]) -> Parsed:
    """Reads YAML files (name → bytes) into normalised documents and the list of all problems, in the files' order.

    A document with problems of its own is left out of its list; its problems say why.
    """
    kinds: dict[str, list[Document]] = {kind: [] for kind in _READERS}
    problems: list[Problem] = []
    spoilt: set[str] = set()
    rough: list[Document] = []
    for file in sorted(files):
        for raw in read_yaml(files[file]):
            whole = len(problems)
            document = _document(file, raw, problems)
            if document is not None and len(problems) == whole:
                kinds[document.kind].append(document)
            elif raw.problems or raw.value is not None:
                spoilt.add(_name_of(raw))
                rough += [document] if document is not None else []
    for kind, documents in kinds.items():
        problems += _duplicates([*documents, *(one for one in rough if one.kind == kind)])
    problems = sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line))
    return Parsed(kinds["team"], kinds["agent"], kinds["pipeline"], kinds["model"], problems, kinds["policy"], frozenset(spoilt), tuple(rough))


def _name_of(raw: Raw) -> str:
    name = raw.value.get("name") if isinstance(raw.value, dict) and not raw.broken else None
    return name if isinstance(name, str) else ""


def _document(file: str, raw: Raw, problems: list[Problem]) -> Document | None:
    problems += [Problem(file, line, message) for line, message in raw.problems]
    # After a syntax error or a cap the rest is missing: judging the fragment would only add noise.
    if raw.broken or raw.value is None:
        return None
    page = Page(file, raw.lines, raw.refused)
    document = _read_kind(page, raw)
    problems += page.problems
    # Nor is anything more made of it where a part was dropped as the YAML was read, or where it can't be known whose it is.
    return None if raw.problems or page.unread & {(), ("name",), ("team",)} else document


def _read_kind(page: Page, raw: Raw) -> Document | None:
    if not isinstance(raw.value, dict):
        page.problem((), f"a document must be a mapping that begins with kind:, not {described(raw.value)}")
        return None
    kind = raw.value.get("kind")
    if not isinstance(kind, str) or kind not in _READERS:
        _unknown_kind(page, kind)
        return None
    name = raw.value.get("name")
    fields = Fields(page, raw.value, raw=(), spec=(), what=f"the {kind} {name!r}" if isinstance(name, str) else f"this {kind}")
    fields.get("kind")
    spec = _READERS[kind](fields)
    fields.finish(_LATER_KEYS, _ELSEWHERE)
    return Document(kind, str(spec["name"]), page.file, page.line(()), spec, page.lines, page.rest())


def _unknown_kind(page: Page, kind: Any) -> None:
    if isinstance(kind, str) and kind in _LATER_KINDS:
        page.problem(("kind",), f"kind {kind!r} is not supported by this version; {_LATER_KINDS[kind]}")
        return
    near = get_close_matches(str(kind), _READERS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(_READERS)}"
    page.problem(("kind",), f"this document has no kind; {hint}" if kind is None else f"there is no kind {described(kind)}; {hint}")


def _duplicates(documents: list[Document]) -> list[Problem]:
    first: dict[str, Document] = {}
    found = []
    for document in documents:
        earlier = first.setdefault(document.name, document)
        if earlier is not document:
            where = f"{earlier.file}:{earlier.line}"
            found.append(Problem(document.file, document.line, f"the {document.kind} {document.name!r} is already in {where}; keep one"))
    return found
