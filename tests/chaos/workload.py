"""The work that the matrix breaks: two pipelines whose functions act on a world of their own, a folder, and what each run must come to.

The world outlives every worker: an act that it honours by its key is done once whatever is sent, and each that it isn't asked to is a line.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.models import User

from agents import registry
from tests import pipelines
from tests.pipelines import agent

ASKS = "bob"
"""A member of the team: a run is made on behalf of whoever starts it, and goes no further than they may."""
FUNCTIONS = """
import os, time
from pathlib import Path
import orchestra

def _say(world, *words):
    line = " ".join(str(word) for word in words) + "\\n"
    handle = os.open(Path(world) / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)

def _once(world, key):
    try:
        os.close(os.open(Path(world) / f"key.{key}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

def _stay(world, again):
    while (Path(world) / ("shut.again" if again else "shut")).exists():
        time.sleep(0.02)

def read(world: str, order: str, what: object) -> dict:
    _say(world, "read", order, what)
    return {"what": what}

def shaky(world: str, order: str) -> dict:
    if _once(world, f"shaky-{order}"):
        raise RuntimeError("the first time it never works")
    return {}

def broken(world: str, order: str, what: str = "") -> dict:
    raise RuntimeError("it never works")

def act(world: str, order: str, what: str, key: str) -> dict:
    key = orchestra.context()["idempotency_key"]
    _say(world, "asked", order, what, key)
    _stay(world, again=not _once(world, key))
    return {"receipt": key}

def tell(world: str, order: str) -> dict:
    _say(world, "tell", order, orchestra.context()["idempotency_key"])
    _stay(world, again=False)
    return {"told": True}

def find(key: str, input: dict) -> dict:
    told = f"tell {input['order']} {key}\\n" in (Path(input["world"]) / "effects").read_text()
    return {"found": True, "result": {"told": True}} if told else {"found": False}
"""

_FOUND = "input: {type: object}\noutput: {type: object, required: [found], properties: {found: {type: boolean}}}"
_KEYED = "mode: {idempotent: =input.key}\ncost: 0.001 USD"


def _agents(tell_s: int) -> list[str]:
    finder = agent("finder", "work:find", role="gather", timeout="30s").replace(f"input: {pipelines.ANY}\noutput: {pipelines.ANY}", _FOUND)
    return [
        agent("reader", "work:read", timeout="30s", more="cost: 0.002 USD"),
        agent("shaky", "work:shaky", timeout="30s"),
        agent("broken", "work:broken", timeout="30s"),
        agent("actor", "work:act", role="act", timeout="60s", more=_KEYED),
        agent("teller", "work:tell", role="act", timeout=f"{tell_s}s", more="cost: 0.003 USD"),
        finder,
    ]


_IN = "world: =input.world, order: =input.order"


def _act(what: str) -> str:
    return f"{{agent: actor, with: {{{_IN}, what: {what}, key: '=input.order + \"-{what}\"'}}}}"


def _step(name: str, undone_by: str = "") -> str:
    undo = f", compensate: {_act(undone_by)}" if undone_by else ""
    return f"{{id: {name}, {_act(name)[1:-1]}{undo}}}"


_JOURNEY = f"""
- {{id: look, agent: reader, with: {{{_IN}, what: first}}}}
- id: both
  parallel:
    left: [{_step("pay")}]
    right: [{{id: tell, agent: teller, with: {{{_IN}}}, lookup: finder}}]
- {{id: each_of, for_each: =input.items, as: item, do: [{{id: each, agent: reader, with: {{{_IN}, what: =item}}}}]}}
- {{id: shaky, agent: shaky, with: {{{_IN}}}, retry: {{max: 2, backoff: 50ms}}}}
- {{id: broken, agent: broken, with: {{{_IN}, what: spare}}, fallback: reader}}
- {{id: nap, wait: {{for: 200ms}}}}
- {{id: word, wait: {{signal: go, timeout: 1h}}}}
- {{id: last, agent: reader, with: {{{_IN}, what: last}}}}
"""
_UNDONE = f"""
- {_step("book", "unbook")}
- {_step("rent", "unrent")}
- {{id: fails, agent: broken, with: {{{_IN}}}}}
"""

JOURNEY, UNDONE, LATE = "journey", "undone", "late"


@dataclass(frozen=True, slots=True)
class Ends:
    """What a run of a pipeline comes to: its outcome, with the cause where it fails, and the acts that the world has then seen once."""

    outcome: str
    once: tuple[str, ...] = ()


ENDS = {
    JOURNEY: Ends("verified", ("pay", "tell")),
    UNDONE: Ends("failed: exception", ("book", "rent", "unbook", "unrent")),
    LATE: Ends("failed: deadline"),
}


def publish(folder: Path, *, tell_s: int = 12) -> None:
    """The three pipelines, and who asks at doors; `late` is nobody's to begin in time.

    `tell_s`: so long, and a little, nobody can say what became of a call that tells and was cut off. It must be more than a worker
    takes to follow another, or what has not even been sent is too late.
    """
    for name, steps, more in ((JOURNEY, _JOURNEY, ""), (UNDONE, _UNDONE, ""), (LATE, _JOURNEY, "limits: {timeout: 1s}")):
        path = pipelines.folder(folder / name, name=name, steps=steps, agents=_agents(tell_s), functions=FUNCTIONS, more=more)
        registry.apply_folder(path, actor=pipelines.SYSTEM, publish=True)
    if not User.objects.filter(username=ASKS).exists():
        registry.create_person(ASKS, actor=pipelines.SYSTEM)
        registry.add_member("platform", ASKS, actor=pipelines.SYSTEM)


def make_world(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "effects").touch()
    return folder


def shut(world: Path) -> None:
    """Whoever has acted stays and says nothing of it until the world is open: who was the first to do it, and apart from them who comes again."""
    for name in ("shut", "shut.again"):
        (world / name).touch()


def open_up(world: Path, *, again: bool) -> None:
    (world / ("shut.again" if again else "shut")).unlink()


def _lines(world: Path, first: str, order: str) -> list[list[str]]:
    lines = [line.split() for line in (world / "effects").read_text(encoding="utf-8").splitlines()]
    return [words for words in lines if words[:2] == [first, order]]


def acts_of(world: Path, order: str) -> Counter[str]:
    """What the world has seen done for an order, and how often. What honours a key is done by the file of that key, in one breath."""
    keyed = (path.name.removeprefix(f"key.{order}-") for path in world.glob(f"key.{order}-*"))
    return Counter({"tell": len(_lines(world, "tell", order)), **Counter(keyed)})


def keys_of(world: Path, order: str) -> Counter[str]:
    """Under how many different keys each idempotent act was asked for; more than one is a repetition that its receiver can't know."""
    return Counter(what for what, _ in {(words[2], words[3]) for words in _lines(world, "asked", order)})
