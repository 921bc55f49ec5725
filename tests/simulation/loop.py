"""An event loop without a clock, a selector or a thread: whoever owns it turns it, and says what time it is.

Owns handles and timers of one simulated process. Knows nothing of runs; what an executor is given goes to `execute`.
"""

import asyncio
import heapq
from asyncio.events import _get_running_loop, _set_running_loop
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any

Execute = Callable[[Callable[[], Any], "asyncio.Future[Any]"], None]


@contextmanager
def running(loop: asyncio.AbstractEventLoop | None) -> Iterator[None]:
    """Within it, this is the running loop; None is what the thread of an executor sees."""
    before = _get_running_loop()
    _set_running_loop(loop)
    try:
        yield
    finally:
        _set_running_loop(before)


class VirtualLoop(asyncio.AbstractEventLoop):
    """First come, first served, as asyncio's own; deterministic because nothing else decides."""

    def __init__(self, clock: Callable[[], float], execute: Execute, complain: Callable[[dict[str, Any]], None]) -> None:
        self.time = clock
        self._execute, self._complain = execute, complain
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made = 0
        self._tasks: dict[asyncio.Task[Any], None] = {}

    # --- for its owner ---

    def next_at(self) -> float | None:
        """When it has something to do: now, where something is ready; None: nothing to wait for."""
        if self._ready:
            return self.time()
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def turn(self) -> None:
        """Due timers, and everything that is ready now; what that makes ready comes in the next turn."""
        now = self.time()
        while self._timers and self._timers[0][0] <= now:
            self._ready.append(heapq.heappop(self._timers)[2])
        with running(self):
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()

    def wind_up(self) -> None:
        """End what is still at work, so that nothing is left for the garbage collector to complain about."""
        for _ in range(100):
            for task in list(self._tasks):
                task.cancel()
            while self._ready:
                self.turn()
            if not self._tasks:
                return

    # --- what asyncio asks of it ---

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, handle))
        return handle

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # whoever waits for it gets it; nobody is told that it was never asked for

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        future = self.create_future()
        self._execute(lambda: func(*args), future)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self._complain(context)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when they come up."""
