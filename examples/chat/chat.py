"""Chat rooms as supervised children: a room that fails is opened again, empty, and the others hear nothing of it.

`python3 chat.py` plays a short evening."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import histrio

KEPT = 100


class Room(histrio.Actor):
    """Keeps the last lines of a room and passes new ones on to who listens."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.lines: deque[str] = deque(maxlen=KEPT)
        self.listeners: set[asyncio.Queue[str]] = set()

    @histrio.method
    def say(self, who: str, text: str) -> int:
        """The number of people who heard it."""
        if text == "/crash":
            raise RuntimeError(f"{who} found the bug")
        line = f"{who}: {text}"
        self.lines.append(line)
        for listener in self.listeners:
            listener.put_nowait(line)
        return len(self.listeners)

    @histrio.method
    def history(self) -> list[str]:
        return list(self.lines)

    @histrio.method
    async def listen(self) -> AsyncIterator[str]:
        """All lines from now on; it ends with its listener."""
        mine: asyncio.Queue[str] = asyncio.Queue()
        self.listeners.add(mine)
        try:
            yield f"you are in the room: {self.topic}"
            while True:
                yield await mine.get()
        finally:
            self.listeners.discard(mine)


@histrio.supervisor(strategy="one_for_one", restarts=3, period="10s")
class Rooms(histrio.Actor):
    """Each room alone: what happens in one is no other's business."""

    cats = histrio.child(Room, "cats")
    dogs = histrio.child(Room, "dogs")


async def evening() -> None:
    async with histrio.local(workers=1) as system:
        rooms = await system.spawn(Rooms, name="rooms")
        async with asyncio.timeout(30):
            heard = rooms.cats.listen()
            print(await anext(heard))
            print(await rooms.cats.say("eve", "hello"), "heard it")
            print(await anext(heard))
            await rooms.dogs.say("bob", "hello, dogs")
            rooms.cats.say.tell("mallory", "/crash")
            await wait_until_reopened(rooms.cats)
            print("the cats' room was opened again, with", await rooms.cats.history())
            print("the dogs heard nothing of it:", await rooms.dogs.history())


async def wait_until_reopened(room: Room) -> None:
    """A room that has been opened again has no history."""
    while await room.history():
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(evening())
