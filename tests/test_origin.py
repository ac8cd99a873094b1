"""A definition is one thing in every process, and what each process did to its main stays."""

import os
from pathlib import Path

from tests.kit import run_python, run_script
from tests.samples import ENV, PRELUDE, ROOT


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


FORK = """
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

before = Kind()
class Kind: pass
assert type(loads(dumps(before))) is type(before)  # what has lost its name goes by value
assert len(dumps(Kind())) > 60
Kind = type(before)

class Late: pass
def helper(): return "new"
def f(): return helper()
down[0].send_bytes(dumps((Late(), f)))
late, said, kind = loads(up[1].recv_bytes())
assert type(late) is Late and kind is Late and said == "new"
os.wait()
"""


def test_a_fork_has_the_definitions_of_its_parent() -> None:
    run_script(FORK).check()


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
