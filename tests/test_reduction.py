"""dumps and loads: in this process, and between real interpreters with mains of every kind."""

import array
import copyreg
import decimal
import functools
import multiprocessing
import multiprocessing.pool
import multiprocessing.reduction
import multiprocessing.resource_sharer
import os
import pickle
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procession import _family, reduction
from procession.connection import Pipe
from procession.errors import (
    TransferAttributeError,
    TransferError,
    TransferRecursionError,
    TransferTypeError,
)
from procession.reduction import dumps, loads, travels
from tests.kit import run_python, run_script

ROOT = Path(__file__).parent.parent
ENV = {"PYTHONPATH": str(ROOT)}


def copy(thing: Any) -> Any:
    return loads(dumps(thing))


class Box:
    """An instance with the attributes that it is given."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Box) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return 1

    def method(self) -> "Box":
        return self

    def __private(self) -> str:
        return "found"

    def private_method(self) -> Callable[[], str]:
        return self.__private


# ---- round trips ---------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
hashables = scalars | st.tuples(scalars, scalars) | st.frozensets(scalars, max_size=3)
values = st.recursive(
    scalars | st.fractions() | st.complex_numbers(allow_nan=False) | st.builds(bytearray, st.binary()),
    lambda inner: (
        st.lists(inner, max_size=12)
        | st.lists(inner, max_size=12).map(tuple)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.sets(hashables, max_size=4)
        | st.builds(Box, a=inner, b=inner)
    ),
    max_leaves=30,
)


@given(values)
def test_what_is_dumped_is_loaded(value: Any) -> None:
    assert copy(value) == value
    assert type(copy(value)) is type(value)


@given(values, st.integers(0, 5))
def test_a_function_carries_what_it_closes_over(value: Any, default: int) -> None:
    def function(extra: int = default) -> tuple[Any, int]:
        return value, extra

    assert copy(function)() == (value, default)
    assert copy([function, value])[1] == value


@given(values)
def test_plain_pickle_reads_and_writes_the_same(value: Any) -> None:
    assert pickle.loads(dumps(value)) == value
    assert loads(pickle.dumps(value)) == value
    assert multiprocessing.reduction.ForkingPickler.loads(dumps((value, Box.method)))[0] == value


@pytest.mark.parametrize("size", [0, 1, 250, 1 << 16, (1 << 18) - 9, 1 << 18, 5_000_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, lambda size: array.array("b", bytes(size))])
def test_buffers_of_every_size(kind: Callable[[int], Any], size: int) -> None:
    assert copy([kind(size), 3, kind(size)]) == [kind(size), 3, kind(size)]


def test_a_message_of_more_than_four_gigabytes() -> None:
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if available < 7 << 30:
        pytest.skip(f"needs 7 GiB of memory; {available >> 30} are free")
    size = (1 << 32) + 5
    data = dumps([bytes(size), "end"])
    # Not loaded, which would take as long again: the length is there in eight bytes, and the end.
    assert pickle.BINBYTES8 + size.to_bytes(8, "little") in data[:64]
    assert data[-64:].endswith(b"\x03end\x94e.")
    assert size < len(data) < size + 100


def test_a_cycle_and_shared_parts_stay_what_they_are() -> None:
    def function() -> Any:
        return loop

    loop: list[Any] = [function]
    loop.append(loop)
    made = copy(loop)
    assert made[1] is made
    assert made[0]() is made


# ---- reducers ------------------------------------------------------------------------------


@pytest.fixture
def clean_tables() -> Iterator[None]:
    tables = (multiprocessing.reduction.ForkingPickler._extra_reducers, copyreg.dispatch_table)
    before = [dict(table) for table in tables]
    yield
    for table, contents in zip(tables, before, strict=True):
        table.clear()
        table.update(contents)


@pytest.mark.usefixtures("clean_tables")
@pytest.mark.parametrize("register", [reduction.register, copyreg.pickle])
@pytest.mark.parametrize("companion", [1, lambda: 1], ids=["plain", "by value"])
def test_reducers_are_honoured_whenever_they_are_registered(register: Any, companion: Any) -> None:
    assert copy([Box(a=1), companion])[0] == Box(a=1)
    register(Box, lambda box: (str, ("first",)))
    assert copy([Box(a=1), companion])[0] == "first"
    register(Box, lambda box: (str, ("second",)))
    assert copy([Box(a=1), companion])[0] == "second"


def test_forking_pickler_stays_the_stdlibs() -> None:
    assert reduction.ForkingPickler is multiprocessing.reduction.ForkingPickler
    with pytest.raises((AttributeError, pickle.PicklingError)):
        reduction.ForkingPickler.dumps(lambda: 1)
    for name in dir(multiprocessing.reduction):
        if not name.startswith("__"):
            assert hasattr(reduction, name), name


def test_methods_of_every_kind() -> None:
    box = Box(a=1)
    assert copy(box.method)() == box
    assert copy(box.private_method())() == "found"
    assert copy([].append).__name__ == "append"
    box.given = lambda self=None: "given"  # type: ignore[attr-defined]
    assert copy(box.given)() == "given"  # type: ignore[attr-defined]
    by_lambda = type("ByLambda", (), {"call": lambda self: 7})()
    assert copy(by_lambda.call)() == 7
    assert copy(functools.partial(Box(a=1).method))() == Box(a=1)
    assert copy(decimal.Decimal.from_float)(0.5) == decimal.Decimal("0.5")


def test_a_nested_dumps_disturbs_nothing() -> None:
    class Nested:
        def __reduce__(self) -> Any:
            return loads, (dumps({"inner": [1, 2, Box(a=3)]}),)

    assert copy([Nested(), 1, Nested()]) == [{"inner": [1, 2, Box(a=3)]}, 1, {"inner": [1, 2, Box(a=3)]}]


def test_threads_dump_at_the_same_time() -> None:
    wrong = []

    def work(number: int) -> None:
        for count in range(300):
            value = {"n": number, "box": Box(a=[count] * (count % 7)), "f": str}
            if copy(value) != value:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---- what cannot travel --------------------------------------------------------------------

LOCK = threading.Lock()


class Bad:
    """Its pickling raises what it is given."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __getstate__(self) -> Any:
        raise self.error


class Slotted:
    """A part in a slot."""

    __slots__ = ("part",)

    def __init__(self, part: Any) -> None:
        self.part = part


class OwnList(list[Any]):
    """A list with an attribute."""


def closing_over(part: Any) -> Callable[[], Any]:
    return lambda: part


def make_list(part: Any) -> OwnList:
    made = OwnList([1, part])
    made.label = "x"  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (LOCK, ""),
        ([1, LOCK], "[1]"),
        ({"a": {("b", 1): LOCK}}, "['a'][('b', 1)]"),
        ({LOCK: 1}, f"<key {repr(LOCK)[:37]}...>"),
        (Box(rows={"x": [Box(_lock=LOCK)]}), "rows['x'][0]._lock"),
        (Slotted(LOCK), "part"),
        (make_list(LOCK), "[1]"),
        (ValueError("text", LOCK), "args[1]"),
        (functools.partial(print, 1, end=LOCK), "keywords['end']"),
        (functools.partial(print, LOCK), "args[0]"),
        (Box(a=LOCK).method, "__self__.a"),
        (closing_over([LOCK]), "<closure>.part[0]"),
        (lambda lock=LOCK: 1, "__defaults__[0]"),
        ((i for i in ()), ""),
        (type("Local", (), {"part": [LOCK]}), "part[0]"),
        (type("Local", (), {"part": [LOCK]})(), "__class__.part[0]"),
        (Bad(ValueError("no")), ""),
        ([Box(bad=Bad(ValueError("no")))], "[0].bad"),
    ],
    ids=str,
)
def test_the_part_that_cannot_travel_is_named(value: Any, path: str) -> None:
    with pytest.raises(TransferError) as caught:
        dumps(value)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: " if path else "")
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"target": print, "args": (1, LOCK)}, "args[1]"),
        ({"target": closing_over(LOCK)}, "target.<closure>.part"),
        ({"target": print, "kwargs": {"a": LOCK}}, "kwargs['a']"),
    ],
)
def test_a_process_knows_its_arguments_by_the_callers_names(given: dict[str, Any], path: str) -> None:
    # Processes are pickled only while one is being started.
    multiprocessing.context.set_spawning_popen(object())
    try:
        with pytest.raises(TransferTypeError) as caught:
            dumps(multiprocessing.Process(**given))
    finally:
        multiprocessing.context.set_spawning_popen(None)
    assert caught.value.path == path


def test_a_label_says_what_the_value_is() -> None:
    with pytest.raises(TransferTypeError, match=r"^args\[1\]\.a: cannot pickle '_thread.lock' object$"):
        dumps((1, Box(a=LOCK)), label="args")
    with pytest.raises(TransferTypeError, match=r"^item\.a: cannot pickle '_thread.lock' object$"):
        dumps(Box(a=LOCK), label="item")
    with pytest.raises(TransferTypeError, match=r"^item: cannot pickle '_thread.lock' object$"):
        dumps(LOCK, label="item")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("broken pump"), TransferError, "[0]: ValueError: broken pump"),
        (KeyError("pump"), TransferError, "[0]: KeyError: 'pump'"),
        (TypeError("broken pump"), TransferTypeError, "[0]: broken pump"),
        (AttributeError(), TransferAttributeError, "[0]: AttributeError: "),
        (pickle.PicklingError("broken pump"), TransferError, "[0]: broken pump"),
        (EOFError(), TransferError, "[0]: EOFError: "),
    ],
)
def test_an_error_of_the_values_own_code_is_shown(error: Exception, kind: type, text: str) -> None:
    with pytest.raises(kind) as caught:
        dumps([Bad(error)])
    assert (str(caught.value), caught.value.__cause__) == (text, error)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("wrong moment"), NotImplementedError(), OSError(24, "many"), MemoryError()],
)
def test_what_is_not_about_the_value_comes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        dumps([Bad(error)])
    assert caught.value is error


def test_objects_of_the_stdlib_say_what_they_always_say() -> None:
    with pytest.raises(RuntimeError, match="should only be shared between processes through inheritance"):
        dumps([multiprocessing.get_context("fork").Lock()])
    with (
        multiprocessing.pool.ThreadPool(1) as pool,
        pytest.raises(NotImplementedError, match="pool objects cannot be passed"),
    ):
        dumps(pool)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_wish_to_stop_passes_through(stop: type[BaseException]) -> None:
    with pytest.raises(stop):
        dumps([Bad(stop())])
    assert copy([Box(a=1)]) == [Box(a=1)]


def test_a_value_nested_too_deeply() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, [lambda: 1, deep]):
        with pytest.raises(TransferError, match="recursion"):
            dumps(value)
    with pytest.raises(TransferRecursionError):
        dumps(deep)


def test_the_search_for_the_part_ends() -> None:
    ring = [Box() for _ in range(2000)]
    for box in ring:
        box.rest = ring  # type: ignore[attr-defined]
    ring[-1].lock = LOCK  # type: ignore[attr-defined]
    with pytest.raises(TransferTypeError) as caught:
        dumps(ring[0])
    assert caught.value.path == "rest[1999].lock"


def test_a_representation_that_fails_does_not_hide_the_error() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise ValueError

    with pytest.raises(TransferTypeError, match="cannot pickle"):
        dumps({Mute(): LOCK, "x": Bad(TypeError())})


def test_a_text_file_is_refused_but_the_standard_streams_are_not(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+") as file, pytest.raises(TransferTypeError, match="TextIOWrapper"):
        dumps([file])
    code = "import sys; from procession.reduction import *; assert loads(dumps(sys.stderr)) is sys.stderr"
    run_python("-c", code).check()


# ---- descriptors ---------------------------------------------------------------------------


@pytest.fixture
def sharer() -> Iterator[dict[int, Any]]:
    """What the resource sharer of the stdlib holds for readers."""
    yield multiprocessing.resource_sharer._resource_sharer._cache
    multiprocessing.resource_sharer.stop()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_socket_travels_and_leaves_nothing_behind(sharer: dict[int, Any]) -> None:
    one, other = socket.socketpair()
    with one, copy((other, lambda: 1))[0] as again:
        assert not sharer
        other.close()
        again.send(b"x")
        assert one.recv(1) == b"x"
        again.close()
        # A duplicate that was left somewhere would keep the stream open.
        assert one.recv(1) == b""


def test_a_pickle_that_fails_gives_its_duplicates_back(sharer: dict[int, Any]) -> None:
    one, other = socket.socketpair()
    with one, other:
        for value in ([other, LOCK], [other, Bad(ValueError())], [other, Bad(KeyboardInterrupt())]):
            with pytest.raises((TransferError, KeyboardInterrupt)):
                dumps(value)
    assert not sharer
    assert one.fileno() == -1


def test_shared_objects_are_carried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    locks = [_family.SemLock(_family.SEMAPHORE, 1, 1, True) for _ in range(3)]
    for companion in ([1], lambda: 1):
        carry: list[Any] = ["what was there"]
        made = loads(dumps([*locks, companion], carry))
        assert carry == ["what was there", *locks]
        assert [lock.handle for lock in made[:3]] == [lock.handle for lock in locks]
    carry = []
    with pytest.raises(TransferError):
        dumps([*locks, LOCK], carry)
    assert dumps(5, carry)


# ---- proven to travel ----------------------------------------------------------------------


class AwkwardError(Exception):
    """Cannot be rebuilt: its args are not what its ``__init__`` wants."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


def test_what_travels_is_told_by_trying(sharer: dict[int, Any]) -> None:
    assert loads(travels(ValueError(1))).args == (1,)
    with pytest.raises(
        TransferTypeError, match=r"^AwkwardError: it is .* cannot be rebuilt: .*'text'"
    ):
        travels(AwkwardError(1, "x"))
    with pytest.raises(TransferTypeError, match=r"args\[0\]: cannot pickle"):
        travels(ValueError(LOCK))
    one, other = Pipe()
    with one, other:
        error = loads(travels(ValueError(other)))
        error.args[0].send("there")
        assert one.recv() == "there"
    assert not sharer


# ---- between interpreters ------------------------------------------------------------------

PRELUDE = """
import abc, asyncio, collections, contextlib, dataclasses, enum, functools, sys, typing
from procession.reduction import dumps, loads
from tests.other_side import Other
other = Other()
"""

SCRIPTS = {
    "a function, what it calls, and what is typed in anew": """
        x = 1
        def f(): return g() + x
        def g(): return 10
        assert other(f) == 11
        def g(): return 20
        x = 2
        assert other(f) == 22
        def f(): return "new"
        assert other(f) == "new"
    """,
    "what a task sets stays set": """
        counter, cache, never = 0, {}, None
        def count():
            global counter
            counter += 1
            return counter
        def fill(key):
            cache[key] = 1
            return sorted(cache)
        def define():
            global made_there
            made_there = 5
        def see(): return made_there
        assert [other(count), other(count), other(count), counter] == [1, 2, 3, 0]
        assert [other(fill, "a"), other(fill, "b"), cache] == [["a"], ["a", "b"], {}]
        other(define)
        assert other(see) == 5
        counter = 100  # the other side has changed its own meanwhile
        assert other(count) == 4
        cache = {"z": 1}  # the other side still has the one that it was sent
        assert other(fill, "c") == ["c", "z"]
    """,
    "recursion, alone and mutual": """
        def fact(n): return 1 if n < 2 else n * fact(n - 1)
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        assert (other(fact, 5), other(even, 10), other(odd, 10)) == (120, True, False)
        assert other(functools.partial(fact, 4)) == 24
    """,
    "lambdas, closures, generators, coroutines": """
        square = lambda v: v * v
        def uses(v): return square(v)
        def counter():
            n = 0
            def up():
                nonlocal n
                n += 1
                return n
            return up, lambda: n
        def both(up, get): up(); up(); return get()
        def gen(): yield from (square(v) for v in range(3))
        async def co(): return 5
        assert (other(uses, 4), other(square, 5)) == (16, 25)
        up, get = counter()
        assert other(both, up, get) == 2
        up()
        assert (other(both, up, get), get()) == (3, 1)
        assert other(lambda: list(gen())) == [0, 1, 4]
        assert other(lambda: asyncio.run(co())) == 5
        assert other(lambda a, /, b=1, *c, d=2, **e: (a, b, c, d, e), 0) == (0, 1, (), 2, {})
    """,
    "decorated functions": """
        def adding(function):
            calls = []
            @functools.wraps(function)
            def wrapper(*args):
                calls.append(1)
                return function(*args) + len(calls)
            return wrapper
        @adding
        def decorated(v): return v
        @functools.lru_cache(maxsize=7)
        def cached(v): return v + 1
        def uses(v): return cached(v), cached.cache_parameters()["maxsize"]
        @functools.singledispatch
        def single(x): return "object"
        @single.register
        def _(x: int): return "int"
        @contextlib.contextmanager
        def manager(): yield 3
        def managed():
            with manager() as value: return value
        assert (other(decorated, 100), other(decorated, 100), decorated(1)) == (101, 102, 2)
        assert (other(cached, 1), other(uses, 1)) == (2, (2, 7))
        assert (other(single, 1), other(single, "")) == ("int", "object")
        assert other(managed) == 3
    """,
    "a class is one class, here and there": """
        class Counted:
            count = 0
            def __init__(self): type(self).count += 1
            def me(self): return self
            def kind(self): return type(self), Counted.count
        def make(): return Counted(), Counted.count
        made, count = other(make)
        assert (type(made) is Counted, count, Counted.count) == (True, 1, 0)
        assert other(make)[1] == 2
        kind, count = other(made.kind)
        assert (kind is Counted, count, Counted.count) == (True, 2, 0)
        assert type(other(Counted().me)) is Counted
        assert other(lambda cls: cls is Counted, Counted)
        assert other(lambda: __import__("pickle").loads(__import__("pickle").dumps(Counted)) is Counted)
        Old = Counted
        class Counted:
            count = "new"
        assert other(lambda: Counted.count) == "new"
        assert type(other(lambda: Counted())) is Counted
        assert other(lambda c: type(c).count, made) == 2
        def local():
            class Local: pass
            return Local
        Local = local()
        assert type(other(lambda: Local())) is Local
        assert other(isinstance, Local(), Local)
    """,
    "classes of every kind": """
        @dataclasses.dataclass(frozen=True, slots=True)
        class Data:
            x: int
            y: list = dataclasses.field(default_factory=list)
        class Colour(enum.Enum):
            RED = 1
            BLUE = 2
            def other(self): return Colour.BLUE if self is Colour.RED else Colour.RED
        class Bits(enum.Flag):
            A = 1
            B = 2
        class Point(typing.NamedTuple):
            x: int
            def twice(self): return Point(2 * self.x)
        Pair = collections.namedtuple("Pair", "a b")
        class Abstract(abc.ABC):
            @abc.abstractmethod
            def value(self): ...
            @classmethod
            def name(cls): return cls.__name__
            @staticmethod
            def static(): return 1
            @property
            def nine(self): return 9
            @functools.cached_property
            def eight(self): return 8
        class Concrete(Abstract):
            def __init__(self): super().__init__()
            def value(self): return super().nine + self.__hidden()
            def __hidden(self): return 100
            def hidden(self): return self.__hidden
        T = typing.TypeVar("T")
        class Generic(typing.Generic[T]):
            def same(self, x: T) -> T: return x
        class Meta(type):
            def __call__(cls): made = super().__call__(); made.by = cls.__name__; return made
        class Made(metaclass=Meta): pass
        class Slots:
            __slots__ = ("a",)
        class Error(Exception):
            def __init__(self, a, b=2): super().__init__(a); self.b = b
        Ident = typing.NewType("Ident", int)
        def typed(x: Ident, y: "Unknown" = None) -> Data: return x

        assert other(lambda: Data(1, [2])) == Data(1, [2])
        assert other(Colour.RED.other) is Colour.BLUE
        assert other(lambda: Bits.A | Bits.B) == Bits.A | Bits.B
        assert other(Point(2).twice) == Point(4)
        assert type(other(lambda: Pair(1, 2))) is Pair
        thing = Concrete()
        assert (other(thing.value), other(Concrete.name), other(Concrete.static)) == (109, "Concrete", 1)
        assert (other(thing.hidden()), other(lambda: thing.eight)) == (100, 8)
        assert other(Generic[int]().same, 5) == 5
        assert other(lambda: Made()).by == "Made"
        slots = Slots()
        slots.a = 1
        assert other(lambda s: s.a, slots) == 1
        error = other(Error, 1, 3)
        assert (type(error) is Error, error.args, error.b) == (True, (1,), 3)
        assert other(typed, 4) == 4
    """,
    "modules, and submodules that only the sender imported": """
        import xml.dom.minidom
        def parse(): return xml.dom.minidom.parseString("<a/>").documentElement.tagName
        def within():
            class Inner:
                used = xml.dom.minidom.__name__
            return Inner.used
        assert other(parse) == "a"
        assert other(within) == "xml.dom.minidom"
    """,
    "special names of main": """
        def special(): return __name__, __file__
        assert other(special) == ("__main__", __file__)
    """,
    "what a child defines comes back": """
        def define(text):
            space = {"__name__": "__main__"}
            exec(text, space)
            return space["made"]
        assert other(define, "def made(): return helper()\\ndef helper(): return 7")() == 7
        helper = "mine"
        assert other(define, "def made(): return helper()\\ndef helper(): return 8") is not None
        assert helper == "mine"
        kind = other(define, "class made:\\n    x = 1")
        assert other(lambda: kind().x) == 1
        assert other(isinstance, kind(), kind)
    """,
    "two others, and one passes on what it got": """
        second = Other()
        value = 1
        class Kind:
            count = 0
        def f(): return value
        def use(): Kind.count += 1; return Kind(), value
        sent = other(dumps, (use, ()))
        made, got = second.raw(sent)
        assert (type(made) is Kind, got, Kind.count) == (True, 1, 0)
        value = 2
        assert (second(f), other(f)) == (2, 2)
    """,
    "what cannot travel among the globals of a function is named": """
        import threading
        from procession.errors import TransferError
        lock = threading.Lock()
        def helper(): return lock
        def f(): return helper()
        try:
            dumps(f)
        except TransferError as error:
            assert error.path == "<global>.helper.<global>.lock", error.path
        else:
            raise AssertionError
    """,
    "redefinition in a loop keeps no old value alive": """
        import gc, weakref
        class Big: pass
        alive = []
        def f(): return big is None
        for _ in range(5):
            big = [Big()]
            alive.append(weakref.ref(big[0]))
            assert other(f) is False
        big = None
        assert other(f) is True
        gc.collect()
        assert [ref() for ref in alive] == [None] * 5
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("way", ["script", "-c", "stdin"])
def test_an_unimportable_main_travels_by_value(name: str, way: str) -> None:
    text = PRELUDE + textwrap.dedent(SCRIPTS[name])
    if way == "script":
        run_script(text, env=ENV).check()
    elif "__file__" not in text:
        arguments = {"-c": ["-c", text], "stdin": ["-"]}[way]
        run_python(*arguments, stdin=text, env=ENV).check()


def test_a_guarded_main_travels_by_name_and_the_rest_joins_it() -> None:
    run_script(
        """
        import sys
        from procession.reduction import dumps
        from tests.other_side import Other

        state = "fresh"
        def initialise():
            global state
            state = "set"
        def tell(): return state, __name__
        class Kind:
            count = 0
            def up(self): Kind.count += 1; return self, Kind.count

        if __name__ == "__main__":
            def inner(): return state, tell()
            assert b"tell" in dumps(tell) and len(dumps(tell)) < 60
            other = Other(__file__)
            other(initialise)
            assert other(tell) == ("set", "__mp_main__")
            assert other(lambda: state) == "set"
            assert other(inner) == ("set", ("set", "__mp_main__"))
            kind, count = other(Kind().up)
            assert (type(kind) is Kind, count, Kind.count) == (True, 1, 0)
            assert other(lambda: Kind.count) == 1
            assert (state, other(dumps, kind)) == ("fresh", other(dumps, kind))
            class Kind:
                count = "new"
            assert other(lambda: Kind.count) == 1  # that name is the other side's own
            assert other(lambda kind: kind.count, Kind()) == "new"
        """,
        env=ENV,
    ).check()


def test_what_modules_define_joins_the_module_there(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text(
        "state = 0\n"
        "def bump():\n    global state\n    state += 1\n    return state\n"
        "def maker(n):\n    return lambda: (state, n)\n"
        "def local_class():\n    class Local:\n        def get(self): return state\n    return Local\n"
    )
    text = PRELUDE + (
        "import helpers\n"
        "assert [other(helpers.bump), other(helpers.bump)] == [1, 2]\n"
        "assert other(helpers.maker(5)) == (2, 5)\n"
        "Local = helpers.local_class()\n"
        "assert other(Local().get) == 2\n"
        "assert type(other(Local)) is Local\n"
    )
    run_script(text, env={"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}).check()


def test_a_fork_has_the_definitions_of_its_parent() -> None:
    run_script(
        """
        import os
        from multiprocessing.connection import Pipe
        from procession.reduction import dumps, loads

        class Kind:
            count = 5
        def helper(): return "old"
        def f(): return helper()
        value = 1
        down, up = Pipe(duplex=False)[::-1], Pipe(duplex=False)[::-1]

        def child():
            global value
            value = "the child's"
            Kind.count = "the child's"
            def reads(): return value
            up[0].send_bytes(dumps((Kind(), f, reads)))
            late, late_f = loads(down[1].recv_bytes())
            up[0].send_bytes(dumps((late, late_f(), type(late))))

        if not os.fork():
            child()
            os._exit(0)
        data = up[1].recv_bytes()
        kind, same_f, reads = loads(data)
        assert type(kind) is Kind and same_f is f and Kind.count == 5
        assert reads() == 1 and value == 1
        assert len(dumps(Kind())) < 60  # by name: every process has it

        class Late: pass
        def helper(): return "new"
        def f(): return helper()
        down[0].send_bytes(dumps((Late(), f)))
        late, said, kind = loads(up[1].recv_bytes())
        assert type(late) is Late and kind is Late and said == "new"
        os.wait()
        """
    ).check()


def test_a_definition_made_before_a_fork_is_one_even_where_it_goes_by_value() -> None:
    run_script(
        """
        import os
        from multiprocessing.connection import Pipe
        from procession import _origin
        from procession.reduction import dumps, loads

        class Kind: pass
        reader, writer = Pipe(duplex=False)
        _origin.admit_stranger()
        if not os.fork():
            writer.send_bytes(dumps(Kind()))
            os._exit(0)
        data = reader.recv_bytes()
        assert len(data) > 200
        assert type(loads(data)) is Kind
        os.wait()
        """
    ).check()


def test_the_prompt_after_a_script_goes_on_with_the_same_definitions(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(PRELUDE + "class Kind: pass\ndef f(): return Kind\n")
    typed = "assert other(f) is Kind\ndef g(): return f()\n\nassert other(g) is Kind\n"
    run = run_python("-i", str(tmp_path / "script.py"), stdin=typed, env=ENV).check()
    assert "Error" not in run.stderr, run.stderr


def test_the_slow_import_happens_only_where_it_is_needed() -> None:
    code = (
        "import sys, fractions; from procession.reduction import *\n"
        "loads(dumps([1, {'a': fractions.Fraction(1, 3)}, fractions.Fraction, 'x' * 100]))\n"
        "assert 'cloudpickle' not in sys.modules and 'ast' not in sys.modules\n"
        "dumps(lambda: 1)\n"
        "assert 'cloudpickle' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
