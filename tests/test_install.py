"""procession in the place of multiprocessing: start methods, and programs that install it late."""

from pathlib import Path

from tests.kit import run_python, run_script

from .installed import INSTALL, output

# ---- the start method ----------------------------------------------------------------------


def test_the_default_is_that_of_the_interpreter() -> None:
    default = output("import multiprocessing as m; print(m.get_start_method(), m.get_all_start_methods())")
    text = "import multiprocessing as m; print(m.get_start_method(), m.get_all_start_methods())"
    assert output(INSTALL + text) == default


def test_it_is_undecided_until_somebody_asks() -> None:
    text = (
        "import multiprocessing as m; print(m.get_start_method(allow_none=True)); m.set_start_method('spawn')"
    )
    after = "\nprint(m.get_start_method(), type(m.get_context()).__name__)"
    assert output(INSTALL + text + after) == ["None", "spawn SpawnContext"]


def test_a_choice_made_before_stays() -> None:
    text = f"import multiprocessing as before; before.set_start_method('spawn')\n{INSTALL}"
    after = "import multiprocessing as m; print(m.get_start_method(), before is m)"
    assert output(text + after) == ["spawn True"]
    text = f"import procession; procession.set_start_method('spawn')\n{INSTALL}"
    assert output(text + "import multiprocessing as m; print(m.get_start_method())") == ["spawn"]


def test_a_choice_is_known_to_the_stdlibs_own_code() -> None:
    text = f"""{INSTALL}
import multiprocessing
multiprocessing.set_start_method("spawn")
from multiprocessing.managers import BaseManager
print(BaseManager()._ctx.Process.__module__, BaseManager()._ctx.get_start_method())
"""
    assert output(text) == ["procession.context spawn"]


# ---- installed late ------------------------------------------------------------------------

LATE = """
import sys
from concurrent.futures import ProcessPoolExecutor
import multiprocessing, multiprocessing.connection, multiprocessing.queues
import multiprocessing as mp
from multiprocessing import Process, Pool, Queue, get_context, current_process
from multiprocessing.queues import SimpleQueue
from multiprocessing.process import active_children

class Worker(Process):
    def run(self):
        self.queue.put((type(self).__mro__[1].__module__, current_process().name, own()))

class Own(multiprocessing.queues.Queue):
    pass

class Holder:
    Process = Process

captured = get_context(METHOD)
early = captured.Queue()

def own():
    return sys.modules["multiprocessing"].__name__

def fill(queue):
    queue.put(own())

def double(x):
    return 2 * x

from procession._install import install
install()
from collections import Counter

if __name__ == "__main__":
    names = Process, Pool.__self__, Queue.__self__, get_context.__self__, SimpleQueue, mp, type(captured)
    print(Counter((getattr(name, "__module__", None) or name.__name__).partition(".")[0] for name in names))
    multiprocessing.set_start_method(METHOD)

    for make in (captured.Process, Process, Holder.Process):
        process = make(target=fill, args=(early,))
        process.start()
        print(early.get(), process.join(), process.exitcode)

    worker = Worker(name="the worker")
    worker.queue = Own(ctx=captured)
    worker.start()
    print(worker.queue.get(), worker.join(), worker.exitcode)
    with Pool(2) as pool:
        print(pool.map(double, range(4)))
    with ProcessPoolExecutor(2) as executor:
        print(list(executor.map(double, range(4))))
"""


def test_a_program_that_installs_after_its_imports(tmp_path: Path, method: str) -> None:
    """Names that it bound are procession's, what it made by then works on, its children are as it is."""
    text = f"METHOD = {method!r}\n{LATE}"
    (tmp_path / "late.py").write_text(text, encoding="utf-8")
    assert run_python("late.py", cwd=tmp_path).check().stdout.splitlines() == [
        "Counter({'procession': 7})",
        *["procession None 0"] * 3,
        "('procession.context', 'the worker', 'procession') None 0",
        *["[0, 2, 4, 6]"] * 2,
    ]


def test_installed_in_the_first_line(method: str) -> None:
    text = f"""{INSTALL}
import multiprocessing
def work(queue):
    import multiprocessing.queues
    queue.put((multiprocessing.__name__, type(queue) is multiprocessing.queues.Queue))
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
"""
    assert run_script(text).check().stdout == "('procession', True)\n"


def test_a_second_call_does_nothing() -> None:
    text = f"{INSTALL}import sys; before = list(sys.meta_path); install(); print(before == sys.meta_path)"
    assert output(text) == ["True"]


def test_a_fork_server_that_runs_is_replaced() -> None:
    text = f"""
import procession
def whose(queue):
    import multiprocessing
    queue.put(multiprocessing.__name__)
def ask():
    context = procession.get_context("forkserver")
    queue = context.Queue()
    process = context.Process(target=whose, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
if __name__ == "__main__":
    ask()
    {INSTALL.replace(chr(10), "; ")}
    ask()
"""
    assert run_script(text).check().stdout == "multiprocessing\nprocession\n"


def test_other_forks_of_the_stdlibs_module_stay_other() -> None:
    text = f"""
import sys, types
other = types.ModuleType("billiard")
other.__dict__.update(Process=type("Process", (), {{}}))
sys.modules["billiard"] = sys.modules["multiprocess"] = other
kept = dict(vars(other))
{INSTALL}
import multiprocess
print(multiprocess is other, vars(other) == kept)
"""
    assert output(text) == ["True True"]


DERIVED = """
import multiprocessing.pool, multiprocessing.queues, multiprocessing.synchronize, multiprocessing.managers
import multiprocessing as mp, time

class Queue(multiprocessing.queues.SimpleQueue):
    pass

class Pool(multiprocessing.pool.Pool):
    def __init__(self, *args, **kwargs):
        self.repopulated = 0
        super().__init__(*args, **kwargs)
    @staticmethod
    def _wrap_exception(*_):
        pass
    def _repopulate_pool(self):
        self.repopulated += 1
        super()._repopulate_pool()

class Lock(multiprocessing.synchronize.Lock):
    pass

class Manager(multiprocessing.managers.SyncManager):
    pass

def double(x):
    return 2 * x

from procession._install import install
install()
if __name__ == "__main__":
    context = mp.get_context(METHOD)
    with Pool(2, context=context) as pool:
        print(pool.map(double, [1, 2]), pool.repopulated > 0, isinstance(pool, multiprocessing.pool.Pool))
    queue, lock = Queue(ctx=context), Lock(ctx=context)
    with lock:
        queue.put(3)
    print(queue.get(), isinstance(queue, multiprocessing.queues.SimpleQueue))
    manager = Manager(ctx=context)
    manager.start()
    print(manager.list([1, 2])[1])
    manager.shutdown()
"""


def test_classes_derived_before(tmp_path: Path, method: str) -> None:
    (tmp_path / "derived.py").write_text(f"METHOD = {method!r}\n{DERIVED}", encoding="utf-8")
    result = run_python("derived.py", cwd=tmp_path).check()
    assert result.stdout.splitlines() == ["[2, 4] True True", "3 True", "2"]


def test_what_the_interpreter_imported_before_the_launcher(tmp_path: Path, method: str) -> None:
    """Coverage tools have themselves imported at the start of every interpreter."""
    early = "import concurrent.futures.process, multiprocessing.pool, multiprocessing.managers"
    (tmp_path / "sitecustomize.py").write_text(early, encoding="utf-8")
    (tmp_path / "program.py").write_text(
        f"""
import multiprocessing.pool, multiprocessing.queues
from concurrent.futures import ProcessPoolExecutor, process as futures
def whose(_):
    kinds = futures.mp.Process, futures.Queue, futures._SafeQueue.__mro__[1], multiprocessing.pool.Pool
    return {{kind.__module__.partition(".")[0] for kind in kinds}}
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    with context.Pool(1) as pool:
        print(whose(0), pool.map(whose, [1]))
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        print(list(executor.map(whose, [1])))
""",
        encoding="utf-8",
    )
    path = {"PYTHONPATH": str(tmp_path)}
    result = run_python("-m", "procession", "program.py", cwd=tmp_path, env=path).check()
    lines = ["{'procession'} [{'procession'}]", "[{'procession'}]"]
    assert result.stdout.splitlines() == lines
