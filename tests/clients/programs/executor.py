"""concurrent.futures and asyncio."""

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from client import compare, context


def square(number):
    """Of that number; 13 ends the worker."""
    if number == 13:
        os._exit(1)
    return number * number


def alone():
    return [square(number) for number in range(10)] * 2


def together():
    with ProcessPoolExecutor(2, mp_context=context()) as executor:
        mapped = list(executor.map(square, range(10), chunksize=3))
        awaited = asyncio.run(wait(executor))
        try:
            executor.submit(square, 13).result()
        except BrokenProcessPool:
            return mapped + awaited


async def wait(executor):
    loop = asyncio.get_running_loop()
    return await asyncio.gather(*(loop.run_in_executor(executor, square, number) for number in range(10)))


if __name__ == "__main__":
    compare(alone, together)
