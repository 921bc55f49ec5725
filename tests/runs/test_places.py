"""Places for child interpreters: the oldest run first, but who finds a child warm may go first, a bounded number of times."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from agents.children import Broken, turns
from runs.adapters.children import MOST_PASSED_OVER, CallError, Children, Job, Place, Returned, Share

Make = Callable[[int], Children]


def run(number: int) -> UUID:
    """Ids of runs are in the order in which they were made."""
    return UUID(int=number)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    (tmp_path / "team.py").write_text("def work():\n    return 1\n")
    made: list[Children] = []

    def children(size: int) -> Children:
        made.append(Children(size))
        return made[-1]

    yield children
    for each in made:
        await each.close()


@pytest.fixture
def everything_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "AHEAD_S", 1e9)


async def called(children: Children, key: str, folder: Path, may_go: Callable[[], Broken | None] = lambda: None) -> Returned | Broken:
    async def nothing(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise CallError("denied", tool)

    job = Job(folder, "team:work", {}, {}, 256 << 20, network=False, key=key)
    return await children.call(job, timeout_s=30, progress_timeout_s=None, on_call=nothing, on_progress=lambda *_: None, may_go=may_go)


async def waiting(children: Children, number: int, key: str, served: list[Place]) -> "asyncio.Task[None]":
    async def take() -> None:
        served.append(await children.take(run(number), key))

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    return task


async def freed(place: Place | None) -> None:
    assert place is not None
    place.give_back()
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_place_goes_to_the_oldest_run(make: Make) -> None:
    children, served = make(1), list[Place]()
    place = children.take_now(run(0), "a")
    for number, key in ((2, "younger"), (1, "older")):
        await waiting(children, number, key, served)
    await freed(place)
    assert [each.key for each in served] == ["older"]
    await freed(served[0])
    assert [each.key for each in served] == ["older", "younger"]


async def served_in_turn(children: Children, names: dict[int, Share], freeing: int) -> list[str]:
    """Who is served when these wait for calls of one version, the oldest run first, and one place after the other is freed."""
    for number, share in names.items():
        children.join(run(number), share)
    served = list[Place]()
    place = children.take_now(run(0), "a")
    for number in names:
        await waiting(children, number, "a", served)
    for _ in range(freeing):
        await freed(place)
        place = served[-1]
    return [f"{each.share.team}/{each.share.pipeline}" for each in served]


async def test_a_flood_keeps_no_other_team_and_no_pipeline_of_its_own_team_from_a_place(make: Make) -> None:
    flood = {number: Share("red", "flood") for number in range(1, 40)}
    names = flood | {40: Share("red", "other"), 41: Share("blue", "quiet"), 42: Share("blue", "quiet")}
    served = await served_in_turn(make(1), names, 5)
    assert served[:4] == ["red/flood", "blue/quiet", "red/other", "blue/quiet"] and set(served[4:]) == {"red/flood"}


async def test_a_team_whose_own_children_are_busy_has_its_turns_too(make: Make, tmp_path: Path) -> None:
    """However many of another team find their children warm, which are of another version."""
    children, served = make(4), list[Place]()
    teams = {number: "blue" if number in (3, 20, 21) else "red" for number in range(30)}
    for number, team in teams.items():
        children.join(run(number), Share(team, "p"))
    places = [children.take_now(run(number), teams[number]) for number in range(4)]
    await asyncio.gather(*(called(children, teams[number], tmp_path) for number in range(4)))
    for number in range(4, 30):
        await waiting(children, number, teams[number], served)
    for number in range(8):  # blue's first call takes long
        await freed(places[number] if number < 3 else served[number - 3])
    assert [each.share.team for each in served].count("blue") == 2


async def test_of_one_team_a_pipeline_has_turns_by_its_priority(make: Make) -> None:
    low = {number: Share("red", "low", 1 / 8) for number in range(1, 30)}
    names = low | {number: Share("red", "normal") for number in range(30, 60)}
    served = await served_in_turn(make(1), names, 27)
    assert served.count("red/normal") == 24 and served.count("red/low") == 3


async def test_who_holds_places_for_long_has_no_more_of_them_than_others(make: Make) -> None:
    """Of four, two stay with a team whose calls take long, however many it waits for: the other's short ones have the rest."""
    children, served = make(4), list[Place]()
    for number in range(1, 20):
        children.join(run(number), Share("slow" if number < 10 else "quick", "p"))
    places = [children.take_now(run(number), "a") for number in range(1, 5)]
    for number in range(5, 20):
        await waiting(children, number, "a", served)
    for place in places[:2]:
        await freed(place)
    for number in range(4):
        await freed(served[number])
    assert [each.share.team for each in served] == ["quick"] * 6


async def test_a_place_that_is_given_back_twice_is_one(make: Make) -> None:
    children = make(1)
    place = children.take_now(run(0), "a")
    await freed(place)
    await freed(place)
    assert children.take_now(run(1), "a") is not None
    assert children.take_now(run(2), "a") is None


async def test_a_place_goes_to_the_call_that_finds_its_child_warm(make: Make, tmp_path: Path) -> None:
    children, served = make(1), list[Place]()
    place = children.take_now(run(0), "warm")
    await called(children, "warm", tmp_path)
    for number, key in ((1, "cold"), (2, "warm")):
        await waiting(children, number, key, served)
    await freed(place)
    assert [each.key for each in served] == ["warm"]
    await freed(served[0])
    assert [each.key for each in served] == ["warm", "cold"]


async def test_the_oldest_run_is_passed_over_only_so_often(make: Make, tmp_path: Path) -> None:
    children, served = make(1), list[Place]()
    place = children.take_now(run(0), "warm")
    await called(children, "warm", tmp_path)
    await waiting(children, 1, "cold", served)
    for number in range(MOST_PASSED_OVER + 5):
        await waiting(children, 2 + number, "warm", served)
    while "cold" not in [each.key for each in served]:
        await freed(place)
        place = served[-1]
    assert [each.key for each in served] == ["warm"] * MOST_PASSED_OVER + ["cold"]


@pytest.mark.usefixtures("everything_is_quick")
async def test_who_waits_for_a_version_whose_child_is_busy_keeps_nobody_from_another_versions(make: Make, tmp_path: Path) -> None:
    children, served = make(2), list[Place]()
    for key in ("busy", "other"):
        await called(children, key, tmp_path)
        assert children.take_now(run(0), key) is not None
    await waiting(children, 1, "busy", served)
    passing = [children.take_now(run(2 + number), "other", ahead=True) for number in range(MOST_PASSED_OVER + 5)]
    assert None not in passing
    assert served == []


@pytest.mark.usefixtures("everything_is_quick")
async def test_younger_runs_of_its_own_version_pass_over_it_only_so_often(make: Make, tmp_path: Path) -> None:
    children, served = make(1), list[Place]()
    await called(children, "quick", tmp_path)
    place = children.take_now(run(0), "quick")
    await waiting(children, 1, "quick", served)  # as one that is never sent twice: not with its intent written
    passing = [children.take_now(run(2 + number), "quick", ahead=True) for number in range(MOST_PASSED_OVER + 2)]
    assert [each is not None for each in passing] == [True] * MOST_PASSED_OVER + [False] * 2
    for each in (place, *passing[:MOST_PASSED_OVER]):
        assert not served
        await freed(each)
    assert len(served) == 1


async def test_the_next_step_of_the_run_that_gives_a_place_back_comes_before_those_who_wait(make: Make, tmp_path: Path) -> None:
    children, served = make(2), list[Place]()
    places = [children.take_now(run(1), "first"), children.take_now(run(2), "second")]
    for key in ("first", "second"):
        await called(children, key, tmp_path)
    await waiting(children, 3, "first", served)
    for place in places:
        assert place is not None
        place.give_back()
    assert children.take_now(run(1), "third") is None  # a cold one has to wait
    assert children.take_now(run(1), "second") is not None
    assert children.take_now(run(1), "first") is not None
    await asyncio.sleep(0)
    assert served == []


@pytest.mark.usefixtures("everything_is_quick")
async def test_calls_may_wait_for_a_quick_child_with_their_intent_written_but_only_so_many(make: Make, tmp_path: Path) -> None:
    children = make(1)
    await called(children, "quick", tmp_path)
    places = [children.take_now(run(number), "quick", ahead=True) for number in range(turns.MOST_AHEAD + 2)]
    assert [place is not None for place in places] == [True] * (1 + turns.MOST_AHEAD) + [False]


@pytest.mark.usefixtures("everything_is_quick")
async def test_what_is_never_sent_twice_does_not_wait_with_its_intent_written(make: Make, tmp_path: Path) -> None:
    children, served = make(1), list[Place]()
    await called(children, "quick", tmp_path)
    others = [children.take_now(run(number), "quick", ahead=True) for number in range(3)]
    assert children.take_now(run(9), "quick") is None
    await waiting(children, 9, "quick", served)
    for place in others:
        assert served == []
        await freed(place)
    assert len(served) == 1


async def test_a_call_that_found_no_child_warm_is_asked_whether_it_may_still_go(make: Make, tmp_path: Path) -> None:
    children, asked = make(1), list[str]()

    def no() -> Broken:
        asked.append("asked")
        return Broken("stopped", "not any more")

    answer = await called(children, "a", tmp_path, may_go=no)
    assert isinstance(answer, Broken) and (answer.cause, asked) == ("stopped", ["asked"])
    warm = await called(children, "a", tmp_path, may_go=no)  # its child is there, and was not harmed
    assert isinstance(warm, Returned) and asked == ["asked"]


@pytest.mark.parametrize("given", [False, True])
async def test_a_cancelled_waiter_leaves_no_place_behind_and_takes_none_along(make: Make, given: bool) -> None:
    children, served = make(1), list[Place]()
    place = children.take_now(run(0), "a")
    task = await waiting(children, 1, "a", served)
    assert place is not None
    if given:
        place.give_back()
        await asyncio.sleep(0)  # its turn has come and it hasn't noticed yet
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    place.give_back()
    assert children.take_now(run(2), "a") is not None
    assert children.take_now(run(3), "a") is None


async def test_a_place_freed_while_a_cancelled_waiter_has_not_noticed_goes_to_the_next(make: Make) -> None:
    children, served = make(1), list[Place]()
    place = children.take_now(run(0), "a")
    cancelled = await waiting(children, 1, "a", served)
    await waiting(children, 2, "b", served)
    cancelled.cancel()
    await freed(place)
    await asyncio.gather(cancelled, return_exceptions=True)
    assert [each.key for each in served] == ["b"]


async def test_what_is_offered_to_a_run_is_its_own_in_this_turn_of_the_loop_and_then_anybodys(make: Make) -> None:
    children, served = make(1), list[Place]()
    place = await children.take(run(2), "b")
    task = await waiting(children, 1, "a", served)
    children.offer(run(2), place)
    mine = children.take_now(run(2), "b")
    assert mine is place and not served
    children.offer(run(2), place)
    assert children.take_now(run(3), "b") is None
    await task
    assert len(served) == 1
    children.offer(run(1), served[0])
    assert children.take_now(run(1), "another version") is not None
