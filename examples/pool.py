"""A pool of workers computes factorials, in each of the ways in which a pool is asked."""

import argparse
import math
import queue

from procession import Pool, get_all_start_methods, set_start_method


def main():
    with Pool(processes=2) as pool:
        print("map          ", pool.map(math.factorial, range(8)))

        later = pool.map_async(math.factorial, range(8, 12))
        print("map_async    ", later.get())

        print("apply        ", pool.apply(math.factorial, (12,)))

        # Callbacks run in this process: here they hand what comes to the main thread.
        done, failed = queue.SimpleQueue(), queue.SimpleQueue()
        pool.apply_async(math.factorial, (13,), callback=done.put)
        print("apply_async  ", done.get())
        pool.apply_async(math.factorial, (-1,), error_callback=failed.put)
        print("with an error", repr(failed.get()))

        # Lambdas and local functions travel too.
        quotients = pool.starmap(lambda n, k: math.factorial(n) // math.factorial(k), [(5, 3), (9, 8)])
        print("starmap      ", quotients)

        total = 0
        for value in pool.imap_unordered(math.factorial, range(14)):
            total += value
        print("imap         ", total)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="forkserver", choices=get_all_start_methods())
    set_start_method(parser.parse_args().method)
    main()
