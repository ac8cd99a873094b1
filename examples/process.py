"""A process with a name of its own reports that it is alive, and what it has computed."""

import argparse
import math

from procession import (
    Event,
    Process,
    current_process,
    get_all_start_methods,
    parent_process,
    set_start_method,
)


def report(number, told, may_end):
    """Run in the new process, to which every argument travels."""
    me, parent = current_process(), parent_process()
    print(f"I am {me.name}, started by {parent.name}, and {number}! is {math.factorial(number)}", flush=True)
    told.set()
    may_end.wait()


def main():
    told, may_end = Event(), Event()
    process = Process(target=report, args=(10, told, may_end), name="Factorial")
    print(f"{process.name} before its start: alive {process.is_alive()}", flush=True)

    process.start()
    told.wait()
    print(f"{process.name} at work: alive {process.is_alive()}", flush=True)

    may_end.set()
    process.join()
    print(
        f"{process.name} after its end: alive {process.is_alive()}, exit code {process.exitcode}", flush=True
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="forkserver", choices=get_all_start_methods())
    set_start_method(parser.parse_args().method)
    main()
