"""1,000 calls of a server that takes 50 ms for each: work that only waits, where threads and coroutines are at home."""

import asyncio
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

CALLS = 1000
AT_ONCE = 100
SERVER = """
import asyncio
async def serve(reader, writer):
    while line := await reader.readline():
        if line == b"\\r\\n":
            await asyncio.sleep(0.05)
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
            await writer.drain()
            writer.close()
            return
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


async def fetch(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.endswith(b"ok")


def fetch_blocking(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        return answer.read() == b"ok"


def of(system):
    """Seconds, or None for a system that is not asked to do this."""
    functions = {"threads": threads, "asyncio": coroutines, "histrio": actor}
    function = functions.get(system.name)
    if function is None:
        return None
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE) as server:
        try:
            port = int(server.stdout.readline())
            started, answers = function(system, port)
            seconds = time.perf_counter() - started
        finally:
            server.kill()
    if sum(answers) != CALLS:
        raise AssertionError("calls are missing")
    return seconds


def threads(_, port):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = time.perf_counter()
        return started, list(pool.map(fetch_blocking, [port] * CALLS))


def coroutines(system, port):
    async def all_of_them():
        gate = asyncio.Semaphore(AT_ONCE)

        async def one():
            async with gate:
                return await fetch(port)

        return await asyncio.gather(*(one() for _ in range(CALLS)))

    started = time.perf_counter()
    return started, system.run(all_of_them)


def actor(system, port):
    """An actor with an async method that may interleave."""
    async def all_of_them():
        fetcher = await system.start_fetcher()
        await fetcher.fetch(port)
        nonlocal started
        started = time.perf_counter()
        return await asyncio.gather(*(fetcher.fetch(port) for _ in range(CALLS)))

    started = 0.0
    answers = system.run(all_of_them)
    return started, answers
