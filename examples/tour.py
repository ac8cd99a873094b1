"""The tour: the four concepts by small examples, then a real job.  Run it with `make demo`."""

import argparse

import index
import lock
import pool
import process
import queue_and_pipe

from procession import set_start_method

STOPS = {
    "1. A process": process.main,
    "2. A pool": pool.main,
    "3. A queue and a pipe": queue_and_pipe.main,
    "4. A lock": lock.main,
}


def heading(text):
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    index.add_options(parser)
    options = parser.parse_args()
    set_start_method(options.method)
    for title, stop in STOPS.items():
        heading(title)
        stop()
    heading("5. A real job: index the standard library")
    index.main(**vars(options))


if __name__ == "__main__":
    main()
