"""Arrays as results of pools: whose memory they keep, and for how long."""

import gc
from typing import Any

import numpy as np
import pytest

from procession import _family
from tests.kit import eventually
from tests.pools import LONG


def array(number: int) -> Any:
    return np.full(100_000, number)


@pytest.mark.parametrize("count", [2, 40])
def test_a_result_that_nobody_asks_for_keeps_its_own_array_only(ctx: Any, count: int) -> None:
    with ctx.Pool(1) as pool:
        pool.apply(array, (0,))
        gc.collect()
        before = _family.heap_stats()["objects"]
        results = [pool.apply_async(array, (number,)) for number in range(count)]
        # All of them lie there when the first one is received.
        assert eventually(lambda: pool._engine.scheduler._channel.backlog() == count)
        kept = results.pop()
        assert [int(result.get(LONG)[0]) for result in results] == list(range(count - 1))
        results.clear()
        gc.collect()
        # Itself, and what shared objects the pool may have besides.
        assert _family.heap_stats()["objects"] <= before + 1
        assert kept.get(LONG)[5] == count - 1
    pool.join()
