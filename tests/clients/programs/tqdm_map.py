"""tqdm: its process_map, and bars in the workers of a pool under one lock."""

import io

from client import compare, context
from tqdm import tqdm
from tqdm.contrib.concurrent import process_map


def triple(number):
    for _ in tqdm(range(3), file=io.StringIO(), position=1):
        pass
    return 3 * number


def alone():
    return [triple(number) for number in range(20)] * 2


def together():
    mapped = process_map(triple, range(20), max_workers=2, chunksize=2, file=io.StringIO())
    mp = context()
    lock = mp.RLock()
    tqdm.set_lock(lock)
    with mp.Pool(2, initializer=tqdm.set_lock, initargs=(lock,)) as pool:
        return mapped + list(tqdm(pool.imap(triple, range(20)), total=20, file=io.StringIO()))


if __name__ == "__main__":
    compare(alone, together)
