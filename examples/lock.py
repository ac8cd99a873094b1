"""Four processes count in one place, each under the lock, so that no step is lost."""

import argparse

from procession import Lock, Process, RawValue, get_all_start_methods, set_start_method

STEPS = 10_000


def count(lock, counter):
    """Add to the counter; without the lock two might read the same number and write the same next."""
    for _ in range(STEPS):
        with lock:
            counter.value += 1


def main():
    lock, counter = Lock(), RawValue("i", 0)
    processes = [Process(target=count, args=(lock, counter)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print(f"{len(processes)} processes took {STEPS} steps each; the counter stands at {counter.value}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="forkserver", choices=get_all_start_methods())
    set_start_method(parser.parse_args().method)
    main()
