"""The command line: interpreters, start methods, the report."""

import argparse
import concurrent.futures
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from . import pythons, rewritten, session
from .session import Job, Verdict
from .verdicts import Book

_FEW = 25
"""Where more tests fail, none is run again."""


def main(words: list[str]) -> int:
    """Run what `words` ask for; 1 if a test failed, 2 if there is nothing to run."""
    options = _parser().parse_args(words)
    chosen = pythons.found() if options.python == "all" else [options.python]
    good = [_run_all(python, options) for python in chosen]
    return int(not all(good))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument(
        "--python", default=sys.executable, help="whose tests to run; `all`: each that is found"
    )
    parser.add_argument("--method", choices=(*rewritten.METHODS, "all"), default="all")
    parser.add_argument("--only", metavar="PATTERN", default="*", help="of METHOD/CLASS.TEST")
    parser.add_argument("--module", default="procession", help="multiprocessing: to see what the stdlib does")
    parser.add_argument("--jobs", type=int, default=2, help="classes at a time")
    parser.add_argument("--quick", action="store_true", help="without the slowest tests")
    return parser


def _run_all(python: str, options: argparse.Namespace) -> bool:
    version = _version(python)
    book = Book(version.rpartition(".")[0], quick=options.quick)
    methods = rewritten.METHODS if options.method == "all" else (options.method,)
    try:
        with rewritten.package(python, options.module) as folder:
            for method in methods:
                began = time.monotonic()
                _run(_chosen(session.jobs(python, folder, [method]), options.only, book), book, options.jobs)
                print(f"{version} {method}: {time.monotonic() - began:.0f} s", flush=True)
    except LookupError as error:
        print(error)
        return False
    _report(book, f"{options.module}, Python {version}, {', '.join(methods)}")
    return book.good


def _version(python: str) -> str:
    program = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def _chosen(jobs: Iterable[Job], only: str, book: Book) -> Iterator[Job]:
    for job in jobs:
        called = {test: job.called(test) for test in job.tests}
        tests = tuple(
            test for test, name in called.items() if fnmatchcase(name, f"*{only}*") and book.runs(name)
        )
        if tests:
            yield Job(job.python, job.folder, job.method, job.kind, job.name, tests)


# ---- running -------------------------------------------------------------------------------


def _run(jobs: Iterable[Job], book: Book, at_once: int) -> None:
    # The longest first, so that none is left alone at the end.
    ordered = sorted(jobs, key=lambda job: len(job.tests), reverse=True)
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        try:
            verdicts = [verdict for found in pool.map(session.run, ordered) for verdict in found]
        except BaseException:
            session.stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    for verdict in _tried_again(verdicts, book):
        book.note(verdict)


def _tried_again(verdicts: list[Verdict], book: Book) -> Iterator[Verdict]:
    """The verdicts; a few failures replaced by those of a second run, alone.

    CPython's tests measure times, which on a busy machine are longer than they allow for. What
    hangs hangs, and an end with something left behind is no question of time.
    """
    bad = [verdict for verdict in verdicts if verdict.outcome == "failed" and book.counts(verdict)]
    bad = [verdict for verdict in bad if not verdict.test.startswith("<") and not book.expects(verdict)]
    for verdict in verdicts:
        if len(bad) <= _FEW and any(verdict is each for each in bad):
            print(f"once more, alone: {verdict.called}: {_last_line(verdict)}", flush=True)
            yield from session.run(verdict.job.alone(verdict.test))
        else:
            yield verdict


# ---- the report ----------------------------------------------------------------------------


def _report(book: Book, what: str) -> None:
    for verdict in book.failed:
        print(f"\n{verdict.outcome.upper()} {verdict.called}\n{verdict.why.strip()}")
    for verdict in book.stale:
        print(f"\nSTALE {verdict.called}: {verdict.outcome}; expected.toml says that it fails")
    internal = [verdict for verdict in book.internal if verdict.outcome != "skipped"]
    fine = sum(not verdict.bad for verdict in internal)
    total = len(book.passed) + len(book.failed) + len(book.differing) + len(book.stale)
    print(
        f"conformance ({what}): of {total} public tests {len(book.passed)} pass,"
        f" {len(book.differing)} differ as expected, {len(book.failed)} fail, {len(book.stale)} are stale"
        f" (internal: {fine} of {len(internal)} pass)",
        flush=True,
    )


def _last_line(verdict: Verdict) -> str:
    return (verdict.why.strip().splitlines() or [""])[-1][:200]
