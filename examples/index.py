"""A real job: index every source file of this interpreter's own standard library.

Each file is tokenised; the words (names and keywords) and the definitions in it are counted, and
the counts merged.  It is done serially, with the stdlib's Pool and with procession's, and the
three must agree.
"""

import argparse
import multiprocessing
import platform
import sys
import sysconfig
import time
import tokenize
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import procession


def index_file(path):
    """Count one file: its path, words, definitions, and what is wrong with it if it is no Python."""
    words, definitions, previous = Counter(), 0, ""
    try:
        with open(path, "rb") as file:
            for token in tokenize.tokenize(file.readline):
                if token.type == tokenize.NAME:
                    words[token.string] += 1
                    definitions += previous in {"def", "class"}
                previous = token.string
    except (SyntaxError, tokenize.TokenError) as error:
        return path, {}, 0, f"{type(error).__name__}: {error.args[0]}"
    return path, words, definitions, ""


@dataclass
class Index:
    """The merged counts of many files."""

    words: Counter = field(default_factory=Counter)
    definitions: int = 0
    failed: dict = field(default_factory=dict)

    def add(self, results):
        """Merge in what `index_file` gave for some files."""
        for path, words, definitions, problem in results:
            self.words.update(words)
            self.definitions += definitions
            if problem:
                self.failed[path] = problem
        return self


def sources(stdlib):
    """Every source file below `stdlib`; packages that were installed there later are none of it."""
    found = (path for path in stdlib.rglob("*.py"))
    return sorted(str(path) for path in found if not {"site-packages", "dist-packages"} & set(path.parts))


def progress(results, total, title):
    """Show how far it is: a bar on a terminal, a few lines elsewhere."""
    if sys.stdout.isatty():
        from tqdm import tqdm

        yield from tqdm(results, total=total, desc=f"{title:22}", unit="files", file=sys.stdout, leave=False)
        return
    for done, result in enumerate(results, 1):
        yield result
        if done * 4 // total > (done - 1) * 4 // total:
            print(f"{title:22} {done:5} of {total} files", flush=True)


def in_pool(package, method, processes):
    """The job by a pool of `package`, from the start of its workers to their end."""

    def job(files, title):
        with package.get_context(method).Pool(processes) as pool:
            results = pool.imap_unordered(index_file, files, chunksize=8)
            return Index().add(progress(results, len(files), title))

    return job


def serially(files, title):
    return Index().add(progress(map(index_file, files), len(files), title))


def timed(job, files, title):
    begin = time.perf_counter()
    index = job(files, title)
    return index, time.perf_counter() - begin


def table(heading, rows):
    """Rows in columns as wide as they must be: the first to the left, numbers to the right."""
    rows = [heading, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heading))]
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        print("   ".join([f"{first:{widths[0]}}", *cells]))
    print()


def show(index, stdlib):
    print(f"{index.words.total():,} words, {len(index.words):,} different; {index.definitions:,} definitions")
    print(f"{len(index.failed)} files are not Python that can be tokenised:")
    for path, problem in sorted(index.failed.items()):
        print(f"    {Path(path).relative_to(stdlib)}: {problem}")
    print()
    table(("word", "times"), [(word, f"{count:,}") for word, count in index.words.most_common(15)])


def main(method="forkserver", processes=None, limit=None, stdlib=None):
    """Run the job in the three ways; exit status 1 if they do not agree."""
    stdlib = Path(stdlib or sysconfig.get_path("stdlib"))
    files = sources(stdlib)[:limit]
    processes = processes or procession.cpu_count()
    print(f"Python {platform.python_version()}, {len(files)} files of {stdlib}")
    print(f"{processes} processes, started by {method}\n", flush=True)

    jobs = {
        "serial": serially,
        "multiprocessing.Pool": in_pool(multiprocessing, method, processes),
        "procession.Pool": in_pool(procession, method, processes),
    }
    done = {title: timed(job, files, title) for title, job in jobs.items()}
    serial, seconds = done["serial"]

    print()
    show(serial, stdlib)
    rows = [(title, f"{took:.2f} s", f"{seconds / took:.2f}") for title, (_, took) in done.items()]
    table(("way", "time", "speed-up"), rows)
    wrong = [title for title, (index, _) in done.items() if index != serial]
    if wrong:
        sys.exit(f"these do not agree with the serial run: {', '.join(wrong)}")
    print("All three agree.")


def add_options(parser):
    parser.add_argument("--method", default="forkserver", choices=procession.get_all_start_methods())
    parser.add_argument("--processes", type=int, help="workers of each pool; else one a processor")
    parser.add_argument("--limit", type=int, help="index the first so many files only")
    parser.add_argument("--stdlib", help="another folder than this interpreter's standard library")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    main(**vars(parser.parse_args()))
