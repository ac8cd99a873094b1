"""The server: strangers, keys, addresses, and what a user registers."""

import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import procession
from procession import managers
from procession.connection import Client
from procession.managers import RemoteError, _server

KEY = b"a key of the tests"


class Made:
    """Something to make."""

    def __init__(self, start: int = 0) -> None:
        self.count = start

    def step(self) -> int:
        self.count += 1
        return self.count

    def numbers(self, top: int) -> Any:
        return iter(range(top))

    def itself(self) -> "Made":
        return self

    def fails(self) -> None:
        raise ValueError("on purpose")

    def exits(self) -> None:
        raise SystemExit(3)

    def lock(self) -> Any:
        return threading.Lock()

    def closed(self) -> Any:
        """Something that raises an OSError when it is pickled."""
        return Closed()

    def fails_with(self, what: Any) -> None:
        raise ValueError(what)

    def _hidden(self) -> str:
        return "hidden"


class Closed:
    def __reduce__(self) -> Any:
        raise OSError("closed")


def leaves() -> None:
    raise SystemExit("on purpose")


ONE = Made()


def the_one() -> Made:
    return ONE


class MadeProxy(managers.BaseProxy):
    _exposed_ = ("step", "_hidden")

    def step(self) -> Any:
        return self._callmethod("step")


class Manager(managers.BaseManager):
    """With what is registered below."""


Manager.register("Made", Made, method_to_typeid={"numbers": "Numbers", "itself": "Itself"})
Manager.register("Numbers", proxytype=managers.IteratorProxy, create_method=False)
Manager.register("Itself", create_method=False)
Manager.register("some", Made, exposed=("step", "_hidden"))
Manager.register("by_proxy", Made, MadeProxy)
Manager.register("the_one", the_one)
Manager.register("leaves", leaves)


class Distant(managers.BaseManager):
    """The same, as another program would know it."""


Distant.register("Made")
Distant.register("the_one")


@pytest.fixture(params=["path", "tcp"])
def running(request: Any, ctx: Any, tmp_path: Any) -> Iterator[Any]:
    """A manager at a path or a port."""
    address = str(tmp_path / "socket") if request.param == "path" else ("127.0.0.1", 0)
    with Manager(address, KEY, ctx=ctx) as manager:
        yield manager
    manager._process.close()


# ---- what is registered --------------------------------------------------------------------


def test_what_is_registered(running: Any) -> None:
    made = running.Made(5)
    assert made.step() == 6
    assert not hasattr(made, "_hidden")
    assert list(made.numbers(3)) == [0, 1, 2]
    assert made.itself().step() == 7
    some = running.some()
    assert (some.step(), some._hidden()) == (1, "hidden")
    assert not hasattr(some, "fails")
    by_proxy = running.by_proxy()
    assert type(by_proxy) is MadeProxy
    assert (by_proxy.step(), by_proxy._callmethod("_hidden")) == (1, "hidden")
    assert running.the_one().step() == 1
    assert running.the_one().step() == 2
    with pytest.raises(ValueError, match="on purpose"):
        made.fails()
    with pytest.raises(SystemExit):
        made.exits()
    with pytest.raises(RemoteError, match="lock"):
        made.lock()
    with pytest.raises(RemoteError, match="closed"):
        made.closed()
    with pytest.raises(RemoteError, match="on purpose"):
        running.leaves()
    assert made.step() == 8


def test_errors_bring_what_they_carry(running: Any) -> None:
    made, array, lock = running.Made(), np.arange(100_000.0), procession.get_context("fork").Lock()
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - by its argument
        made.fails_with((array, lock))
    assert (caught.value.args[0][0] == array).all()
    assert caught.value.args[0][1].acquire(False)


def iterate(made: Any) -> None:
    assert list(made.numbers(3)) == [0, 1, 2]
    assert made.itself().itself().step() == 1


def test_results_that_stay_do_so_for_children_too(ctx: Any, running: Any) -> None:
    made = running.Made()
    process = ctx.Process(target=iterate, args=(made,))
    process.start()
    process.join()
    assert process.exitcode == 0


def test_one_object_handed_out_often_is_one(running: Any) -> None:
    made = [running.the_one() for _ in range(5)]
    assert running._number_of_objects() == 1
    assert len({proxy._id for proxy in made}) == 1
    del made
    assert running._number_of_objects() == 0


def test_misuse(ctx: Any) -> None:
    manager = Manager(ctx=ctx)
    with pytest.raises(AssertionError, match="start"):
        manager.Made()
    with pytest.raises(TypeError, match="callable"):
        manager.start(initializer=3)
    with manager:
        with pytest.raises(procession.ProcessError):
            manager.start()
        with pytest.raises(procession.ProcessError):
            manager.get_server()
        with pytest.raises(RemoteError, match="Made"):
            manager.Made(1, 2, 3)
    with pytest.raises(TypeError, match="bytes"):
        _server.Server({}, None, "text", "pickle")


# ---- far away ------------------------------------------------------------------------------


def from_afar(address: Any) -> None:
    distant = Distant(address, KEY)
    distant.connect()
    assert distant.the_one().step() == 1
    made = distant.Made()
    assert [made.step() for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="on purpose"):
        made.fails()


def test_others_connect(ctx: Any, running: Any) -> None:
    process = ctx.Process(target=from_afar, args=(running.address,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert running.the_one().step() == 2


def test_a_server_in_this_process() -> None:
    server = Manager(authkey=KEY).get_server()
    threading.Thread(target=server.accepter, daemon=True).start()
    distant = Distant(server.address, KEY)
    distant.connect()
    assert distant.Made().step() == 1
    server.stop_event.set()
    server.listener.close()


def test_a_server_that_has_no_threads_left_says_so(monkeypatch: Any) -> None:
    server = Manager(authkey=KEY).get_server()
    distant = Distant(server.address, KEY)
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread is not accepter:
            raise RuntimeError("can't start new thread")
        start(thread)

    accepter = threading.Thread(target=server.accepter, daemon=True)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    accepter.start()
    with pytest.raises(RemoteError, match="can't start new thread"):
        distant.connect()
    monkeypatch.undo()
    distant.connect()
    assert distant.Made().step() == 1
    server.stop_event.set()
    server.listener.close()


# ---- strangers -----------------------------------------------------------------------------


def raw(address: Any) -> socket.socket:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    end = socket.socket(family)
    end.connect(address)
    return end


def test_another_key_is_refused(running: Any) -> None:
    with pytest.raises(procession.AuthenticationError):
        Distant(running.address, b"another").connect()
    assert running.Made().step() == 1


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 4096, b"\0\0\0\x10" + b"x" * 16])
def test_strangers_cost_nothing(running: Any, said: bytes) -> None:
    strangers = [raw(running.address) for _ in range(_server.STRANGERS * 2)]
    for stranger in strangers:
        stranger.sendall(said)
    made = running.Made()
    assert made.step() == 1
    worker = threading.Thread(target=made.step)
    worker.start()
    worker.join()
    assert made.step() == 3
    for stranger in strangers:
        stranger.close()


def dribble(end: socket.socket) -> None:
    for _ in range(1000):
        end.send(b"\0")
        time.sleep(0.01)


def test_a_stranger_is_shown_the_door_in_time(monkeypatch: Any) -> None:
    monkeypatch.setattr(_server, "HANDSHAKE", 0.2)
    server = Manager(authkey=KEY).get_server()
    threading.Thread(target=server.accepter, daemon=True).start()
    with raw(server.address) as silent, raw(server.address) as dribbling:
        assert silent.recv(4096)  # the challenge
        assert silent.recv(4096) == b""
        with pytest.raises(ConnectionError):
            dribble(dribbling)
    server.stop_event.set()
    server.listener.close()


class Mine:
    """Tells when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["PROCESSION_TEST_DIRECTORY"],)


def test_nothing_of_a_stranger_is_unpickled(running: Any, tmp_path: Any, monkeypatch: Any) -> None:
    import pickle

    monkeypatch.setenv("PROCESSION_TEST_DIRECTORY", str(tmp_path / "made"))
    with raw(running.address) as stranger:
        conn = procession.connection.Connection(os.dup(stranger.fileno()))
        data = pickle.dumps((None, "dummy", (Mine(),), {}))
        assert conn.recv_bytes().startswith(b"#CHALLENGE#")
        # One that is no answer is enough to be shown out.
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(3):
                conn.send_bytes(data)
        with pytest.raises((EOFError, OSError)):
            list(iter(conn.recv_bytes, None))
        conn.close()
    assert running.Made().step() == 1
    assert not (tmp_path / "made").exists()


def test_nonsense_of_somebody_with_the_key(running: Any) -> None:
    for request in [None, 3, (), (None, "no such function", (), {}), (None, "__init__", (), {})]:
        with Client(running.address, authkey=KEY) as conn:
            conn.send(request)
            kind, text = conn.recv()
            assert kind == "#TRACEBACK"
            assert "Error" in text
    assert running.Made().step() == 1


def test_sockets_are_private(ctx: Any) -> None:
    with Manager(ctx=ctx) as manager:
        directory = os.path.dirname(manager.address)
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700


def test_the_key_is_never_logged(ctx: Any, capfd: Any) -> None:
    logger = procession.get_logger()
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(1)
    try:
        with Manager(authkey=KEY, ctx=ctx) as manager:
            with pytest.raises(procession.AuthenticationError):
                Distant(manager.address, b"another key of the tests").connect()
            manager.Made().step()
        manager._process.close()  # pytest keeps the log, which names it
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    assert "key of the tests" not in "".join(capfd.readouterr())
