"""Functions and classes of a main that cannot be imported, sent to another interpreter."""

import textwrap

import pytest

from tests.kit import run_python, run_script
from tests.samples import ENV, PRELUDE

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
