"""LangGraph as contestant: three no-op nodes, every step durable. Runs in the peer's own environment, so it imports nothing of ours.

`langgraph_runs.py postgresql URL | sqlite FILE`. A round is {"way": "sequential"|"concurrent", "runs": n}, and with "children": m
each node's function runs in one of m warm processes, as Orchestra's functions do.
"""

import asyncio
import json
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypedDict
from uuid import uuid4

from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

IN_FLIGHT = 20


class State(TypedDict):
    value: int


def noop(state: State) -> State:
    return {"value": state["value"]}


async def anoop(state: State) -> State:
    return {"value": state["value"]}


class Elsewhere:
    """The same node, its function in a pool of spawned interpreters that live on."""

    def __init__(self, children: int) -> None:
        self.pool = ProcessPoolExecutor(children, mp_context=get_context("spawn"))
        for _ in self.pool.map(time.sleep, [0.2] * children):
            pass  # each is started, and has imported what it needs

    def noop(self, state: State) -> State:
        return self.pool.submit(noop, state).result()

    async def anoop(self, state: State) -> State:
        return await asyncio.wrap_future(self.pool.submit(noop, state))


def graph(node: Any, saver: Any) -> Any:
    built = StateGraph(State)
    for name in ("first", "second", "third"):
        built.add_node(name, node)
    built.add_edge(START, "first")
    built.add_edge("first", "second")
    built.add_edge("second", "third")
    built.add_edge("third", END)
    return built.compile(checkpointer=saver)


def config() -> dict[str, Any]:
    return {"configurable": {"thread_id": str(uuid4())}}


def sequential(saver: Any, node: Any, runs: int) -> dict[str, float]:
    compiled, single = graph(node, saver), []
    begun = time.perf_counter()
    for number in range(runs):
        at = time.perf_counter()
        result = compiled.invoke({"value": number}, config(), durability="sync")
        single.append(time.perf_counter() - at)
        assert result == {"value": number}
    return {"seconds": time.perf_counter() - begun, "p50_ms": statistics.median(single) * 1000}


async def concurrent(url: str, node: Any, runs: int) -> dict[str, float]:
    async with AsyncPostgresSaver.from_conn_string(url) as saver:
        compiled, places = graph(node, saver), asyncio.Semaphore(IN_FLIGHT)

        async def one(number: int) -> None:
            async with places:
                result = await compiled.ainvoke({"value": number}, config(), durability="sync")
                assert result == {"value": number}

        begun = time.perf_counter()
        await asyncio.gather(*map(one, range(runs)))
        return {"seconds": time.perf_counter() - begun}


def serve(saver: Any, url: str) -> None:
    saver.setup()
    print(json.dumps({"ready": True}), flush=True)
    elsewhere: dict[int, Elsewhere] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        runs, children = asked["runs"], asked.get("children")
        if children and children not in elsewhere:
            elsewhere[children] = Elsewhere(children)
        there = elsewhere.get(children)
        if asked["way"] == "concurrent":
            answer = asyncio.run(concurrent(url, there.anoop if there else anoop, runs))
        else:
            answer = sequential(saver, there.noop if there else noop, runs)
        print(json.dumps(answer), flush=True)
    for pooled in elsewhere.values():
        pooled.pool.shutdown()


def main() -> None:
    kind, where = sys.argv[1:]
    saver = PostgresSaver if kind == "postgresql" else SqliteSaver
    with saver.from_conn_string(where) as opened:
        serve(opened, where)


if __name__ == "__main__":
    main()
