"""Proxies: every type, in the parent and in its children alike."""

import contextlib
import multiprocessing
import os
import pickle
import queue
import threading
from multiprocessing import managers as std
from typing import Any

import pytest

import procession
from procession import managers
from procession.managers import RebuildProxy, RemoteError
from tests.kit import eventually


def run(ctx: Any, target: Any, *args: Any) -> None:
    process = ctx.Process(target=target, args=args)
    process.start()
    process.join()
    assert process.exitcode == 0


# ---- types ---------------------------------------------------------------------------------


def use_everything(shared: Any) -> None:
    """In a child: what `test_all_types_work_in_children` lays out."""
    numbers, table, names, some, value, array = shared["plain"]
    numbers.append(4)
    numbers += [5]
    numbers[0] = 10
    table["b"] = 2
    assert sorted(table.items()) == [("a", 1), ("b", 2)]
    assert list(table) == ["a", "b"]
    names.job = "Builder"
    some.add(3)
    value.value += 1
    array[0] = 9
    lock, rlock, semaphore, condition, event, barrier, items = shared["others"]
    with lock, rlock, rlock, semaphore:
        assert not lock.acquire(False)
    with condition:
        condition.notify_all()
    event.set()
    assert (barrier.parties, barrier.wait()) == (1, 0)
    items.put(items.get() + 1)
    numbers.append(list(shared["nested"][0]))


def test_all_types_work_in_children(ctx: Any, manager: Any) -> None:
    plain = (
        manager.list([1, 2, 3]),
        manager.dict(a=1),
        manager.Namespace(name="Bob"),
        manager.set([1, 2]),
        manager.Value("i", 7),
        manager.Array("i", [1, 2]),
    )
    others = (
        manager.Lock(),
        manager.RLock(),
        manager.Semaphore(2),
        manager.Condition(),
        manager.Event(),
        manager.Barrier(1),
        manager.Queue(),
    )
    others[-1].put(1)
    nested = manager.list([manager.dict(x=1)])
    run(ctx, use_everything, {"plain": plain, "others": others, "nested": nested})
    numbers, table, names, some, value, array = plain
    assert numbers[:] == [10, 2, 3, 4, 5, ["x"]]
    assert table.copy() == {"a": 1, "b": 2}
    assert str(names) == "Namespace(job='Builder', name='Bob')"
    assert some.copy() == {1, 2, 3}
    assert (value.value, array[0]) == (8, 9)
    assert others[4].is_set()
    assert others[-1].get() == 2


def test_proxies_are_the_stdlibs_too(manager: Any) -> None:
    made = {
        "list": std.ListProxy,
        "dict": std.DictProxy,
        "Namespace": std.NamespaceProxy,
        "Lock": std.AcquirerProxy,
        "Condition": std.ConditionProxy,
        "Event": std.EventProxy,
    }
    for typeid, kind in made.items():
        proxy = getattr(manager, typeid)()
        assert isinstance(proxy, kind)
        assert isinstance(proxy, managers.BaseProxy)
        assert type(proxy) is getattr(managers, kind.__name__)
    assert isinstance(manager, std.SyncManager)


def test_methods_that_only_newer_interpreters_have(manager: Any) -> None:
    lock = manager.Lock()
    assert not lock.locked()
    with lock:
        assert lock.locked()
    numbers, table, some = manager.list([1]), manager.dict(a=1), manager.set([1, 2, 3])
    assert numbers.copy() == [1]
    numbers.clear()
    assert len(numbers) == 0
    table |= {"b": 2}
    assert table | {"c": 3} == {"a": 1, "b": 2, "c": 3}
    assert list(reversed(table)) == ["b", "a"]
    some &= {2, 3, 4}
    some |= {5}
    assert some - {5} == {2, 3}
    assert {1} | some == {1, 2, 3, 5}
    assert sorted(some) == [2, 3, 5]
    assert (2 in some, some >= {2}, len(some)) == (True, True, 3)
    assert managers.ListProxy[int].__args__ == (int,)


def test_a_pool_of_the_managers(manager: Any) -> None:
    with manager.Pool(2) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2]
        assert pool.apply_async(abs, (-3,)).get() == 3
        assert list(pool.imap(abs, [-1])) == [1]


def sockets() -> list[str]:
    """What this process has that another could wait for the end of."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that lists them
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return [name for name in found if name.startswith("socket:")]


def test_children_of_the_manager_have_nothing_of_its_clients(manager: Any) -> None:
    table = manager.dict(x=1)
    assert table["x"] == 1
    with manager.Pool(1) as pool:
        inside = pool.apply(sockets)
    assert inside == []


# ---- nested, sent, inherited ---------------------------------------------------------------


def test_nested_proxies(manager: Any) -> None:
    outer, inner = manager.list(), manager.dict()
    outer.append(inner)
    outer[0]["x"] = 1
    assert inner["x"] == 1
    del inner
    assert outer[0].copy() == {"x": 1}
    taken = outer.pop()
    assert taken.copy() == {"x": 1}
    outer.append([{"deep": manager.Queue()}])
    outer[0][0]["deep"].put("item")
    assert outer[0][0]["deep"].get() == "item"


def test_what_only_nested_proxies_had_goes_with_them(manager: Any) -> None:
    outer = manager.list([manager.dict(), manager.list()])
    before = manager._number_of_objects()
    assert before == 3
    outer[:] = []
    # The last references go a while later, as the proxies were on their way once.
    eventually(lambda: manager._number_of_objects() == 1, 20)


def put_through(inbox: Any, outbox: Any) -> None:
    proxy = inbox.get()
    proxy["pid"] = os.getpid()
    outbox.put(proxy)


def test_proxies_through_queues(ctx: Any, manager: Any) -> None:
    inbox, outbox = ctx.Queue(), ctx.Queue()
    table = manager.dict()
    inbox.put(table)
    run(ctx, put_through, inbox, outbox)
    assert outbox.get()["pid"] == table["pid"]
    inbox.close()
    outbox.close()


def fill(proxy: Any, key: int) -> int:
    proxy[key] = os.getpid()
    return key


def test_proxies_in_tasks_of_a_pool(ctx: Any, manager: Any) -> None:
    table = manager.dict()
    with ctx.Pool(2) as pool:
        assert pool.starmap(fill, [(table, n) for n in range(20)]) == list(range(20))
    assert sorted(table.keys()) == list(range(20))


def give_back(items: list[int]) -> list[int]:
    return list(items)


def test_a_proxy_that_ends_while_it_is_sent(ctx: Any, manager: Any) -> None:
    """Nobody has it when it arrives."""
    data = pickle.dumps(manager.list([1, 2, 3]))
    assert list(pickle.loads(data)) == [1, 2, 3]
    with ctx.Pool(1) as pool:
        results = [pool.apply_async(give_back, (manager.list([n]),)) for n in range(5)]
        assert [result.get() for result in results] == [[n] for n in range(5)]
    process = ctx.Process(target=give_back, args=(manager.list(),))
    process.start()
    process.join()
    assert process.exitcode == 0


def use_inherited() -> None:
    INHERITED["table"]["child"] = os.getpid()


INHERITED: dict[str, Any] = {}


def test_proxies_that_are_inherited() -> None:
    ctx = procession.get_context("fork")
    with ctx.Manager() as manager:
        INHERITED["table"] = table = manager.dict()
        run(ctx, use_inherited)
        assert table["child"] != os.getpid()
        INHERITED.clear()


def test_a_forked_child_of_the_users_own(manager: Any) -> None:
    table = manager.dict(x=1)
    assert table["x"] == 1
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for n in range(100):
                table[n] = n
                assert table[n] == n
            code = 0
        finally:
            os._exit(code)
    for n in range(100):
        table["parent"] = n
        assert table["parent"] == n
    assert os.waitpid(pid, 0)[1] == 0
    assert len(table) == 102


# ---- calls ---------------------------------------------------------------------------------


def test_errors_carry_the_managers_traceback(manager: Any) -> None:
    with pytest.raises(KeyError) as caught:
        manager.dict()["nonsense"]
    assert caught.value.args == ("nonsense",)
    assert "Traceback" in str(caught.value.__cause__)
    assert "KeyError: 'nonsense'" in str(caught.value.__cause__)
    with pytest.raises(queue.Empty):
        manager.Queue().get(False)


def test_what_is_not_exposed_is_refused(manager: Any) -> None:
    with pytest.raises(RemoteError, match="not exposed"):
        manager.list()._callmethod("__class__")


def test_what_cannot_travel(manager: Any) -> None:
    numbers = manager.list([1])
    with pytest.raises(procession.TransferError):
        numbers.append(threading.Lock())
    assert numbers[:] == [1]


def test_large_values(manager: Any) -> None:
    table, data = manager.dict(), os.urandom(5_000_000)
    table["x"] = data
    assert table["x"] == data


def test_threads_wait_for_the_object_alone(manager: Any) -> None:
    items, table = manager.Queue(), manager.dict()
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(items.get()))
    thread.start()
    table["x"] = 1
    items.put(table["x"])
    thread.join()
    assert got == [1]


def test_an_rlock_knows_threads(manager: Any) -> None:
    lock = manager.RLock()
    lock.acquire()
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(lock.acquire(False)))
    thread.start()
    thread.join()
    assert taken == [False]
    assert lock.acquire(False)
    lock.release()
    lock.release()


def test_a_proxy_copied_deeply_is_its_value(manager: Any) -> None:
    import copy

    assert copy.deepcopy(manager.list([1, 2])) == [1, 2]
    assert manager.list([1])._getvalue() == [1]


# ---- references ----------------------------------------------------------------------------


def test_objects_go_with_their_last_proxy(manager: Any) -> None:
    tables = [manager.dict() for _ in range(50)]
    assert manager._number_of_objects() == 50
    del tables[10:]
    assert manager._number_of_objects() == 10
    copies = pickle.loads(pickle.dumps(tables))
    tables.clear()
    assert manager._number_of_objects() == 10
    assert [table.copy() for table in copies] == [{}] * 10


def test_one_that_is_gone_is_not_another(manager: Any) -> None:
    kept = manager.list()
    lost = RebuildProxy, (managers.ListProxy, manager.dict()._token, "pickle", {})
    others = [manager.dict() for _ in range(100)]
    with pytest.raises(RemoteError, match="has no object"):
        lost[0](*lost[1])
    assert lost[1][1].id not in {proxy._id for proxy in [kept, *others]}


def test_cycles_of_proxies_do_no_harm(manager: Any) -> None:
    loop = manager.list()
    loop.append(loop)
    assert loop[0][0]._id == loop._id
    del loop


def test_names_are_shared_with_the_stdlib() -> None:
    assert managers.Token is std.Token
    assert managers.RemoteError is std.RemoteError
    assert multiprocessing.managers is std
