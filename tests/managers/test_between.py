"""The stdlib's clients with our servers, and our proxies with the stdlib's servers."""

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing import managers as std
from typing import Any

import pytest

import procession
from procession import managers

KEY = b"a key of the tests"


class Counter:
    """Something to serve."""

    count = 0

    def step(self) -> int:
        self.count += 1
        return self.count

    def numbers(self, top: int) -> Any:
        return iter(range(top))

    def fails(self) -> None:
        raise ValueError("on purpose")


ONE = Counter()


def the_one() -> Counter:
    return ONE


class Theirs(std.SyncManager):
    """The stdlib's."""


class Ours(managers.SyncManager):
    """Ours."""


for kind in (Theirs, Ours):
    kind.register("Counter", Counter, method_to_typeid={"numbers": "Iterator"})
    kind.register("the_one", the_one)


@pytest.fixture(params=[(Theirs, Ours), (Ours, Theirs)], ids=["ours at theirs", "theirs at ours"])
def pair(request: Any) -> Iterator[Any]:
    """A server's manager of one package, and a client's of the other."""
    serves, asks = request.param
    with serves(("127.0.0.1", 0), ctx=multiprocessing.get_context("spawn")) as server:
        client = asks(server.address)
        client.connect()
        yield server, client
    server._process.close()


def test_everything_works(pair: Any) -> None:
    server, client = pair
    table = client.dict(a=1)
    table["b"] = 2
    assert list(table) == ["a", "b"]
    with pytest.raises(KeyError):
        table["c"]
    outer = client.list([table])
    assert outer[0]["b"] == 2
    counter = client.Counter()
    assert counter.step() == 1
    assert list(counter.numbers(3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="on purpose"):
        counter.fails()
    assert client.the_one().step() == 1
    assert server.the_one().step() == 2
    lock = client.RLock()
    with lock, lock:
        pass
    with pytest.raises(std.RemoteError):
        counter._callmethod("nonsense")
    items = client.Queue()
    thread = threading.Thread(target=items.put, args=(1,))
    thread.start()
    assert items.get() == 1
    thread.join()


def test_objects_are_released(pair: Any) -> None:
    server, client = pair
    tables = [client.dict() for _ in range(5)]
    assert server._number_of_objects() == 5
    del tables
    assert server._number_of_objects() == 0


def use(table: Any, counter: Any) -> None:
    table["child"] = os.getpid()
    assert list(counter.numbers(2)) == [0, 1]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_proxies_of_a_stdlib_server_in_our_processes(method: str) -> None:
    with Theirs() as server:
        client = Ours(server.address)
        client.connect()
        table, counter = client.dict(), client.Counter()
        process = procession.get_context(method).Process(target=use, args=(table, counter))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert table["child"] == process.pid
    server._process.close()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_our_proxies_in_processes_of_the_stdlib(method: str) -> None:
    with Ours() as server:
        table, counter = server.dict(), server.Counter()
        process = multiprocessing.get_context(method).Process(target=use, args=(table, counter))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert table["child"] == process.pid
    server._process.close()


STRANGER = """
import sys
from {package}.managers import BaseManager
class Manager(BaseManager): pass
Manager.register("the_one")
manager = Manager(sys.argv[1], b"a key of the tests")
manager.connect()
print(manager.the_one().step())
"""


@pytest.mark.parametrize("package", ["multiprocessing", "procession"])
def test_a_program_that_is_no_family(package: str) -> None:
    with Ours(authkey=KEY) as server:
        command = [sys.executable, "-c", STRANGER.format(package=package), server.address]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (said.stdout, said.stderr) == ("1\n", "")
        assert server.the_one().step() == 2
        assert server._number_of_objects() == 0
    server._process.close()


def test_a_proxy_type_of_the_stdlibs_registered_with_ours() -> None:
    class Mixed(managers.BaseManager):
        """With a proxy that knows nothing of ours."""

    Mixed.register("dict", dict, std.DictProxy)
    with Mixed(ctx=procession.get_context("fork")) as manager:
        table = manager.dict(a=1)
        assert not isinstance(table, managers.BaseProxy)
        assert (table["a"], manager._number_of_objects()) == (1, 1)
        del table
        assert manager._number_of_objects() == 0
    manager._process.close()


def test_another_serializer() -> None:
    class Plain(managers.BaseManager):
        """Serves by XML-RPC."""

    Plain.register("the_one", the_one)
    with Plain(("127.0.0.1", 0), KEY, "xmlrpclib", ctx=procession.get_context("fork")) as manager:
        assert manager.the_one().step() == 1
        assert manager.the_one().step() == 2
    manager._process.close()
