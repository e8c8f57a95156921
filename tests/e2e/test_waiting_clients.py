"""Twenty-four clients wait, come, go, are killed and unblocked: every element is accounted for.

What may be asserted depends on how a client goes:

- One that closes its side and reads on to the end hears whatever it was given: an element that was
  popped for it has been received, or was never popped.
- One that is killed, or resets its connection, may be cut off from what it was given. Those whose
  command leaves a trace (BLMOVE's destination, a group's pending list) are cut at any moment. The
  others only while they wait and nobody pushes: their waits have taken nothing, and what is pushed
  next goes to somebody else.

So at the end each element has been received once or is still there, and the traces hold exactly
what was taken, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Self

from spineldb.client import Client, ErrorReply, encode
from tests.e2e.conftest import StartServer
from tests.support.rounds import FIRST_SEED, LONG_SECONDS, long
from tests.support.wire import Fault, reply_end, value

CLIENTS = 24
PRODUCERS = 3
SHORT_SECONDS = 3.0
TROUBLE_SECONDS = 0.002  # between two accidents, on the average
LISTS, MOVED, ZSETS, STREAM = ["l0", "l1", "l2"], ["m0", "m1"], ["z0", "z1"], "x"
KINDS = (
    "BLPOP", "BRPOP", "BLMOVE", "BLMPOP", "BZPOPMIN", "BZMPOP", "XREADGROUP", "BLPOP",
)  # fmt: skip
TRACED = {"BLMOVE", "XREADGROUP"}
RESET = struct.pack("ii", 1, 0)


class Link:
    """A connection: requests out, replies in, and nothing left over at its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._received = b""
        self.id = 0

    @classmethod
    async def open(cls, port: int) -> Self:
        self = cls(*await asyncio.open_connection("127.0.0.1", port))
        self.id = await self.ask("CLIENT", "ID")
        return self

    def send(self, *words: object) -> None:
        self.writer.write(encode([str(word) for word in words]))

    async def reply(self) -> Any:
        """Return the next reply; a connection that ends within one is a fault."""
        while (end := reply_end(self._received, 0) if self._received else -1) < 0:
            data = await self._reader.read(1 << 16)
            if not data:
                if self._received:
                    raise Fault(f"it ends within a reply: {self._received!r}")
                raise ConnectionResetError
            self._received += data
        reply, self._received = self._received[:end], self._received[end:]
        return value(reply)

    async def ask(self, *words: object) -> Any:
        self.send(*words)
        return await self.reply()

    def reset(self) -> None:
        """End it so that the other side is told of an error."""
        self.writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, RESET)
        self.writer.transport.abort()


class Waiter:
    """A client that waits for elements, again and again, over one connection after another."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd = crowd
        self.kind = KINDS[number % len(KINDS)]
        self.name = f"waiter-{number}"
        self.taken: list[str] = []
        self.cuts = 0  # how often it may have been given something it did not hear of
        self.link: Link | None = None
        self.leaving = False
        self.asks = False  # its request has no reply yet
        self.timed = False  # the request has a time-out
        self.lists = LISTS  # which of them it waits for, if for any
        self.free = asyncio.Event()  # to send the next request
        self.free.set()

    def request(self) -> list[object]:
        """Return the next thing to wait for."""
        chance = self.crowd.chance
        seconds = chance.choice([0, 0, 0, 5, 0.02])
        self.timed = seconds > 0
        keys = self.lists = chance.sample(LISTS, chance.randint(1, 3))
        zsets = chance.sample(ZSETS, chance.randint(1, 2))
        count = chance.randint(1, 3)
        end = chance.choice(["LEFT", "RIGHT"])
        match self.kind:
            case "BLMOVE":
                moved = chance.choice(MOVED)
                return ["BLMOVE", moved, f"taken:{self.name}", end, "RIGHT", seconds]
            case "BLMPOP":
                return ["BLMPOP", seconds, len(keys), *keys, end, "COUNT", count]
            case "BZPOPMIN":
                return ["BZPOPMIN", *zsets, seconds]
            case "BZMPOP":
                return ["BZMPOP", seconds, len(zsets), *zsets, "MAX", "COUNT", count]
            case "XREADGROUP":
                wait = ["BLOCK", int(seconds * 1000), "COUNT", count]
                return ["XREADGROUP", "GROUP", "g", self.name, *wait, "STREAMS", STREAM, ">"]
            case _:
                return [self.kind, *keys, seconds]

    async def run(self) -> None:
        while not self.crowd.over:
            link = await Link.open(self.crowd.port)
            self.leaving, self.link = False, link
            with contextlib.suppress(ConnectionError):
                while True:
                    await self.free.wait()
                    if not self.leaving:
                        link.send(*self.request())
                        self.asks = True
                    reply = await link.reply()
                    self.asks = False
                    self.take(reply)
            self.link, self.asks = None, False
            link.writer.close()

    def take(self, reply: Any) -> None:
        """Note what came, after a look whether it could."""
        crowd = self.crowd
        if isinstance(reply, ErrorReply):
            assert reply.code == "UNBLOCKED", reply
            crowd.seen["ERROR"] += 1
        elif reply is None:
            crowd.seen["nothing" if self.timed else "TIMEOUT"] += 1
        else:
            got = [one.decode() for one in elements(self.kind, reply)]
            assert got, reply
            self.taken += got
            crowd.seen["elements"] += len(got)

    def leave(self) -> None:
        """Send nothing more, and read on to the end."""
        if self.link is not None and not self.leaving:
            self.leaving = True
            self.link.writer.write_eof()


def elements(kind: str, reply: Any) -> list[bytes]:
    """Return the elements of a reply to a request of this kind."""
    match kind:
        case "BLMOVE":
            return [reply]
        case "XREADGROUP":
            return [entry[0] for entry in reply[0][1]]
        case "BLMPOP":
            found = reply[1]
        case "BZMPOP":
            found = [pair[0] for pair in reply[1]]
        case _:
            found = [reply[1]]
    assert all(one.startswith(reply[0] + b":") for one in found), reply
    return list(found)


class Crowd:
    """The waiters, those who push, and the one who makes trouble."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.chance = random.Random(seed)
        self.over = False
        self.seen: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.pushed: Counter[str] = Counter()  # by key
        self.added: list[str] = []  # to the stream
        self.locks = [asyncio.Lock() for _ in range(PRODUCERS)]
        self.waiters = [Waiter(self, number) for number in range(CLIENTS)]

    async def run(self, seconds: float) -> None:
        control = await Link.open(self.port)
        await control.ask("XGROUP", "CREATE", STREAM, "g", "$", "MKSTREAM")
        async with asyncio.TaskGroup() as group:
            for waiter in self.waiters:
                group.create_task(waiter.run())
            busy = [group.create_task(self.push(lock)) for lock in self.locks]
            busy.append(group.create_task(self.trouble(control)))
            await asyncio.sleep(seconds)
            self.over = True
            await asyncio.wait(busy)
            while any(waiter.link for waiter in self.waiters):
                for waiter in self.waiters:
                    waiter.leave()
                await asyncio.sleep(0.01)
        await self.account(control)

    # -- those who push ----------------------------------------------------------------------------

    def fresh(self, key: str) -> list[str]:
        """Return new elements for a key."""
        count = self.chance.choice([1, 1, 1, 2, 4])
        self.pushed[key] += count
        return [f"{key}:{number}" for number in range(self.pushed[key] - count, self.pushed[key])]

    async def push(self, lock: asyncio.Lock) -> None:
        link = await Link.open(self.port)
        while not self.over:
            async with lock:
                for _ in range(self.chance.choice([1, 1, 5, 30])):
                    await self.push_one(link)
            await asyncio.sleep(self.chance.expovariate(1 / 0.003))
        link.writer.close()

    async def push_one(self, link: Link) -> None:
        key = self.chance.choice([*LISTS, *MOVED, *ZSETS, STREAM, STREAM])
        if key == STREAM:
            self.added.append((await link.ask("XADD", STREAM, "*", "f", "v")).decode())
            return
        some = self.fresh(key)
        staged = f"staged:{key}:{link.id}" if self.chance.random() < 0.2 else key
        if key in ZSETS:
            pairs = [word for one in some for word in (one.split(":")[1], one)]
            assert await link.ask("ZADD", staged, *pairs) == len(some)
        else:
            assert await link.ask(self.chance.choice(["LPUSH", "RPUSH"]), staged, *some) > 0
        if staged != key and not await link.ask("RENAMENX", staged, key):
            await self.unpack(link, staged, key)

    async def unpack(self, link: Link, staged: str, key: str) -> None:
        """Move the elements one by one: the key exists already."""
        if key not in ZSETS:
            while await link.ask("LMOVE", staged, key, "LEFT", "RIGHT") is not None:
                pass
            return
        while (popped := await link.ask("ZPOPMIN", staged)) != []:
            assert await link.ask("ZADD", key, popped[1].decode(), popped[0].decode()) == 1

    # -- the one who makes trouble -----------------------------------------------------------------

    async def trouble(self, control: Link) -> None:
        while not self.over:
            await asyncio.sleep(self.chance.expovariate(1 / TROUBLE_SECONDS))
            victim = self.chance.choice(self.waiters)
            if victim.link is None or victim.leaving:
                continue
            what = self.chance.choice(["leave", "kill", "reset", "TIMEOUT", "ERROR"])
            if what == "leave":
                victim.leave()
                self.done[what] += 1
            elif what in {"TIMEOUT", "ERROR"}:
                reply = await control.ask("CLIENT", "UNBLOCK", victim.link.id, what)
                self.done[what] += reply
            else:
                await self.cut(control, victim, what)

    async def cut(self, control: Link, victim: Waiter, how: str) -> None:
        """End a connection from the server's side, or by a reset."""
        assert victim.link is not None
        if victim.kind in TRACED:
            victim.cuts += 1
            await self.end(control, victim.link, how, LISTS)
            return
        async with self.quiet(control, victim) as link:
            if link is not None:
                await self.end(control, link, how, victim.lists)
                listed = link.id
                while how == "reset" and await control.ask("CLIENT", "LIST", "ID", listed):
                    await asyncio.sleep(0)

    async def end(self, control: Link, link: Link, how: str, keys: Sequence[str]) -> None:
        """Kill a connection and push to what it waits for in one go, or reset it."""
        self.done[how] += 1
        if how == "reset":
            link.reset()
            return
        key = self.chance.choice(keys)
        control.send("CLIENT", "KILL", "ID", link.id)
        control.send("RPUSH", key, *self.fresh(key), *self.fresh(key))
        assert await control.reply() in {0, 1}
        assert await control.reply() > 0

    @contextlib.asynccontextmanager
    async def quiet(self, control: Link, victim: Waiter) -> AsyncIterator[Link | None]:
        """Let nobody push; the connection of the victim if it is certain that it waits."""
        async with contextlib.AsyncExitStack() as stack:
            for lock in self.locks:
                await stack.enter_async_context(lock)
            victim.free.clear()
            link, asked = victim.link, victim.asks
            for _ in range(2):  # it has been heard, and what it was given has come
                await control.ask("PING")
            try:
                waits = asked and victim.asks and not victim.leaving and victim.link is link
                yield link if waits else None
            finally:
                victim.free.set()

    # -- the books ---------------------------------------------------------------------------------

    async def account(self, control: Link) -> None:
        """Compare what was pushed with what was received and what is left."""
        received = Counter(one for waiter in self.waiters for one in waiter.taken)
        assert max(received.values()) == 1, received.most_common(3)
        for key in (*LISTS, *ZSETS):
            command = "ZRANGE" if key in ZSETS else "LRANGE"
            left = [one.decode() for one in await control.ask(command, key, 0, -1)]
            heard = [one for one in received if one.startswith(f"{key}:")]
            assert Counter(heard + left) == Counter(self.every(key)), key
        moved: list[str] = []
        for waiter in self.waiters:
            if waiter.kind == "BLMOVE":
                trace = await control.ask("LRANGE", f"taken:{waiter.name}", 0, -1)
                moved += self.agrees(waiter, [one.decode() for one in trace], 1)
        for key in MOVED:
            moved += [one.decode() for one in await control.ask("LRANGE", key, 0, -1)]
        assert Counter(moved) == Counter(one for key in MOVED for one in self.every(key))
        await self.account_group(control)
        # Every wait that was ended by somebody was, and no other: who is cut may not hear of it.
        cuts = sum(waiter.cuts for waiter in self.waiters) + self.done["leave"]
        for how in ("TIMEOUT", "ERROR"):
            assert self.seen[how] <= self.done[how] <= self.seen[how] + self.seen["nothing"] + cuts
        assert min(self.done[how] for how in ("leave", "kill", "reset", "TIMEOUT", "ERROR")) > 0
        assert self.seen["elements"] > 100

    async def account_group(self, control: Link) -> None:
        """Compare the pending list with what was read; the rest has not been delivered."""
        delivered: list[str] = []
        for waiter in self.waiters:
            if waiter.kind == "XREADGROUP":
                span = ["-", "+", len(self.added) + 1, waiter.name]
                pending = await control.ask("XPENDING", STREAM, "g", *span)
                delivered += self.agrees(waiter, [one[0].decode() for one in pending], 3)
        delivered.sort(key=lambda name: tuple(map(int, name.split("-"))))
        assert delivered == self.added[: len(delivered)]
        (group,) = await control.ask("XINFO", "GROUPS", STREAM)
        assert group[group.index(b"lag") + 1] == len(self.added) - len(delivered)

    def agrees(self, waiter: Waiter, trace: list[str], most: int) -> list[str]:
        """Return the trace of what a client was given, if it heard of that but for its cuts."""
        heard = set(waiter.taken)
        assert waiter.taken == [one for one in trace if one in heard]
        assert len(trace) - len(heard) <= waiter.cuts * most
        return trace

    def every(self, key: str) -> list[str]:
        return [f"{key}:{number}" for number in range(self.pushed[key])]


def used_memory(client: Client) -> int:
    text = bytes(client.call("INFO", "memory")).decode()
    return int(text.split("used_memory:")[1].split()[0])


def check(start_server: StartServer, seconds: float) -> None:
    server = start_server("--save", "")
    with server.client() as client:
        empty = used_memory(client)
        asyncio.run(Crowd(server.port, FIRST_SEED).run(seconds))
        info = bytes(client.call("INFO", "clients")).decode()
        assert "\r\nconnected_clients:1\r\n" in info
        assert "\r\nblocked_clients:0\r\n" in info
        client.call("FLUSHALL")
        until = time.monotonic() + 10
        while used_memory(client) > empty:  # it comes back in slices
            assert time.monotonic() < until
            time.sleep(0.02)
    assert "Traceback" not in server.log


def test_waiting_clients_lose_and_double_nothing(start_server: StartServer) -> None:
    check(start_server, SHORT_SECONDS)


@long
def test_waiting_clients_lose_and_double_nothing_for_minutes(start_server: StartServer) -> None:
    check(start_server, LONG_SECONDS)
