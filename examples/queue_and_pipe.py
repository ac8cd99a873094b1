"""A producer and a consumer: over a queue, which many may share, and over a pipe, which joins two."""

import argparse
import math

from procession import Pipe, Process, Queue, get_all_start_methods, set_start_method

NUMBERS = range(1, 6)


def produce(queue):
    """Put numbers into the queue, then None: that was the last."""
    for number in NUMBERS:
        queue.put(number)
    queue.put(None)


def consume(queue):
    """Take numbers until None comes."""
    while (number := queue.get()) is not None:
        print(f"over the queue: {number}! is {math.factorial(number)}", flush=True)


def answer(connection):
    """Answer each number with its factorial, until None comes."""
    while (number := connection.recv()) is not None:
        connection.send(math.factorial(number))


def over_a_queue():
    queue = Queue()
    both = [Process(target=produce, args=(queue,)), Process(target=consume, args=(queue,))]
    for process in both:
        process.start()
    for process in both:
        process.join()


def over_a_pipe():
    here, there = Pipe()
    process = Process(target=answer, args=(there,))
    process.start()
    for number in NUMBERS:
        here.send(number)
        print(f"over the pipe: {number}! is {here.recv()}", flush=True)
    here.send(None)
    process.join()


def main():
    over_a_queue()
    over_a_pipe()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="forkserver", choices=get_all_start_methods())
    set_start_method(parser.parse_args().method)
    main()
