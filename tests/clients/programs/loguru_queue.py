"""loguru, whose records go through a queue to the process that writes them."""

import io

from client import compare, context
from loguru import logger

LINES = io.StringIO()


def work(handed, number):
    handed.info("number {}", number)
    handed.complete()


def alone():
    return ["INFO number 0", "INFO number 1", "INFO number 2", "WARNING the end"]


def together():
    mp = context()
    logger.remove()
    logger.add(LINES.write, format="{level} {message}", enqueue=True, context=mp)
    processes = [mp.Process(target=work, args=(logger, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    logger.warning("the end")
    logger.complete()
    logger.remove()
    return sorted(LINES.getvalue().splitlines())


if __name__ == "__main__":
    compare(alone, together)
