"""One child as its worker sees it: start it, send and receive frames, keep the end of its output, end it.

Must not know pools, jobs or deadlines. Every wait is the event loop's; starting takes a millisecond or two of it.
Called by the pool and by describe. A child dies with the thread that started it, so that is best the main thread.
"""

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from agents.children import frames, processes
from agents.children.output import Output

Level = Literal["full", "net", "none"]

_LEVELS: tuple[Level, ...] = ("full", "net", "none") if sys.platform == "linux" else ("none",)
_BOOTSTRAP = Path(__file__).resolve().parent / "bootstrap.py"
_READ = 256 * 1024
_FLOOD = 1024 * 1024  # output read at a stretch before the loop gets a rest
_REST_S = 0.01
_GRACE_S = 0.4  # for a keeper to end everything; then it is ended itself
_INHERITED = ("PATH", "LANG", "TZ", "HOME", "TMPDIR")

# The best level this system gives, found by the first child that was refused a better one.
_given = {"level": _LEVELS[0]}
# Processes not yet waited for: a child in uninterruptible sleep must not hold up its call.
_zombies: list[subprocess.Popen[bytes]] = []


def can_contain() -> bool:
    """Whether this system keeps a child from the network, as far as it is known: until a child has been refused that, it is taken to."""
    return _given["level"] != "none"


class Ended(Exception):
    """The child is gone. `how` is the keeper's last word: "exit 3", "signal 9", "processes 64", "memory 734003200 7", or nothing."""

    def __init__(self, how: str) -> None:
        super().__init__(how or "no word")
        self.how = how


_endings: set[asyncio.Task[None]] = set()


async def start(*, memory_bytes: int, network: bool, hidden: Sequence[Path] = ()) -> "Process":
    """A child that has said hello, as contained as this system allows. At the level full the files `hidden` are empty to it."""
    while True:
        level = _given["level"]
        process = Process(memory_bytes=memory_bytes, network=network, level=level, hidden=hidden)
        try:
            hello = await process.receive()
        except Ended as ended:
            await process.ending()
            if ended.how.startswith("refused") and level != "none":
                _given["level"] = _LEVELS[_LEVELS.index(level) + 1] if _given["level"] == level else _given["level"]
                continue
            raise
        except BaseException:
            process.ending()
            raise
        process.contained = hello.get("hello", {}).get("contained") is True
        return process


class Process:
    """The worker's ends of one child's pipes. `contained`: it has no network. `on_output` is told whenever something was printed."""

    def __init__(self, *, memory_bytes: int, network: bool, level: Level, hidden: Sequence[Path] = ()) -> None:
        self.contained = False
        self.on_output: Callable[[], None] = nobody
        self.level = level
        self._token = secrets.token_hex(16)
        self._loop = asyncio.get_running_loop()
        self._splitter = frames.Splitter()
        self._printed = Output()
        self._said = bytearray()
        self._read_lately = 0
        self._is_heard, self._is_mute = False, False
        self._listener: asyncio.Future[None] | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._open(memory_bytes, ["network" if network else "alone", *map(str, hidden)])
        self._loop.add_reader(self._status, self._on_status)
        self._loop.add_reader(self._output, self._on_output)

    def _open(self, memory_bytes: int, rest: list[str]) -> None:
        down, self._down = os.pipe()
        self._up, up = os.pipe()
        lifeline, self._lifeline = os.pipe()
        self._status, status = os.pipe()
        self._output, output = os.pipe()
        theirs = (down, up, lifeline, status)
        numbers = [str(number) for number in (*theirs, os.getpid(), memory_bytes)]
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-I", "-X", "utf8", str(_BOOTSTRAP), *numbers, self.level, *rest],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(self._token),
                pass_fds=theirs,
                start_new_session=True,
            )
        except OSError:
            for fd in (self._down, self._up, self._lifeline, self._status, self._output):
                os.close(fd)
            raise
        finally:
            for fd in (*theirs, output):
                os.close(fd)
        for fd in (self._down, self._up, self._status, self._output):
            os.set_blocking(fd, False)

    async def send(self, frame: frames.Frame) -> None:
        """Raises BadFrame where the frame is too long; a child that has gone is noticed by receive()."""
        await self.send_packed(frames.pack(frames.to_json(frame)))

    async def send_packed(self, data: bytes) -> None:
        view = memoryview(data)
        while view and not self.ended.done():
            try:
                view = view[os.write(self._down, view) :]
            except BlockingIOError:
                await self._until_writable()
            except OSError:
                return

    async def receive(self) -> frames.Frame:
        """The next frame. Raises Ended, or BadFrame for what is none. One receiver at a time."""
        while (frame := self._splitter.pop()) is None:
            if self._is_mute:  # every writer is gone: the keeper will say how, at once
                await asyncio.wait([self.ended], timeout=_GRACE_S)
                raise Ended(self.how)
            if not self.ended.done():
                await self._until_heard()
            elif not self._read_up():
                raise Ended(self.how)
        return frame

    async def _until_heard(self) -> None:
        """Until something has come up, or the child has ended; a forked stray may hold the other end open for ever."""
        if not self._is_heard:
            self._is_heard = True
            self._loop.add_reader(self._up, self._on_up)
        self._listener = self._loop.create_future()
        try:
            await self._listener
        finally:
            self._listener = None

    def _on_up(self) -> None:
        """Heard from one call to the next; what nobody waits for is left in the pipe, but for one read."""
        self._read_up()
        if self._listener is None or self._is_mute:
            self._is_heard = False
            self._loop.remove_reader(self._up)
        if self._listener is not None:
            _settle(self._listener)

    def _read_up(self) -> bool:
        """Whether there was anything; an end is something."""
        try:
            chunk = os.read(self._up, _READ)
        except BlockingIOError:
            return False
        self._is_mute = not chunk
        self._splitter.feed(chunk)
        return True

    async def _until_writable(self) -> None:
        """Until the pipe takes more, or the child has ended."""
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(self._down, _settle, ready)
        try:
            await asyncio.wait([ready, self.ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            with contextlib.suppress(ValueError):
                self._loop.remove_writer(self._down)
            ready.cancel()

    @property
    def how(self) -> str:
        return self._said.decode("utf-8", "replace").strip()

    def output(self) -> str:
        """Beginning and end of what was printed, then forgotten. What a flood has still in the pipe is left there."""
        with contextlib.suppress(BlockingIOError, OSError, ValueError):
            for _ in range(_FLOOD // _READ):
                if not self._printed.add(os.read(self._output, _READ)):
                    break
        return self._printed.take()

    def cut(self) -> None:
        """Let go of the lifeline: the keeper ends everything, whether or not anybody waits for it. Twice is once."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def ending(self) -> "asyncio.Task[None]":
        """end() as a task that goes on though nobody awaits it."""
        self.cut()
        task = self._loop.create_task(self.end())
        _endings.add(task)
        task.add_done_callback(_endings.discard)
        return task

    async def end(self) -> None:
        """Ends the child and all its descendants. Returns when they are dead, or after a second in the worst case."""
        self.cut()
        killed_keeper = bool(self.ended.done() and not self._said)
        if not self.ended.done():
            await asyncio.wait([self.ended], timeout=_GRACE_S)
        if not self.ended.done():
            self._popen.kill()
            killed_keeper = True
            await asyncio.wait([self.ended], timeout=_GRACE_S)
        if killed_keeper and self.level != "full" and sys.platform == "linux":
            processes.end_marked(self._token)
        self._close()
        await self._reap()

    def _close(self) -> None:
        if not self.ended.done():
            self._loop.remove_reader(self._status)
            os.close(self._status)
            self._over()
        self._is_mute = True  # nothing is read from what is closed now
        self._loop.remove_reader(self._output)
        self._loop.remove_reader(self._up)
        for fd in (self._down, self._up, self._output):
            os.close(fd)

    async def _reap(self) -> None:
        for zombie in [*_zombies, self._popen]:
            if zombie.poll() is not None and zombie in _zombies:
                _zombies.remove(zombie)
        for pause_s in (0.0005, 0.002, 0.01, 0.05):
            if self._popen.poll() is not None:
                return
            await asyncio.sleep(pause_s)
        _zombies.append(self._popen)

    def _on_status(self) -> None:
        with contextlib.suppress(BlockingIOError):
            said = os.read(self._status, 4096)
            self._said += said
            if not said:
                self._loop.remove_reader(self._status)
                os.close(self._status)
                self._over()

    def _over(self) -> None:
        _settle(self.ended)
        if self._listener is not None:
            _settle(self._listener)

    def _on_output(self) -> None:
        try:
            read = self._printed.add(os.read(self._output, _READ))
        except BlockingIOError:
            return
        if not read:
            self._loop.remove_reader(self._output)
            return
        self.on_output()
        self._read_lately += read
        if self._read_lately > _FLOOD:
            self._read_lately = 0
            self._loop.remove_reader(self._output)
            self._loop.call_later(_REST_S, self._listen_again)

    def _listen_again(self) -> None:
        if not self.ended.done():
            self._loop.add_reader(self._output, self._on_output)


def nobody() -> None:
    """Nobody listens to what is printed."""


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _environment(token: str) -> dict[str, str]:
    """Nothing of ours and no secret. The token marks strays, where the system gives no better hold on them."""
    kept = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("LC_")}
    return {**kept, "CHILD_TOKEN": token}
