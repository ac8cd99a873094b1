"""What runs in the interpreter under test: the list of all tests, or some of one class.

Copied into the package of the rewritten tests; nothing else of the project's tests is there.
What happens is told in lines of JSON.
"""

import importlib
import json
import signal
import sys
import time
import traceback
import unittest


def catalogue():
    """Print each class of the interpreter's own suite: method, kind, class, names of its tests."""
    suite = importlib.import_module("test._test_multiprocessing")
    for method in sys.argv[1:]:
        space = {"__name__": __name__}
        suite.install_tests_in_module_dict(space, method)
        for case in space.values():
            if isinstance(case, type):
                names = unittest.defaultTestLoader.getTestCaseNames(case)
                print(json.dumps([method, getattr(case, "TYPE", "misc"), case.__name__, list(names)]))


def run():
    """Run the tests that the command line names, after the file to tell and the class to look in."""
    path, method, name, *tests = sys.argv[1:]
    # Ignored where this was started in the background of a shell; some tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _show_path_to_helpers()
    teller = Teller(path)
    try:
        module = importlib.import_module(f"{__package__}.test_multiprocessing_{method}")
        chosen = unittest.TestSuite(map(getattr(module, name), tests))
    except Exception:  # noqa: BLE001 - whatever it is, it is told
        teller.tell(place="import", outcome="failed", why=traceback.format_exc())
    else:
        chosen.run(teller)
    teller.tell(place="end")


def _show_path_to_helpers():
    """Have the interpreters that tests start find PYTHONPATH, too."""
    from test.support import script_helper

    # What the helper works out for one that does not run without its environment.
    vars(script_helper)["__cached_interp_requires_environment"] = True


class Teller(unittest.TestResult):
    """Writes down what becomes of each test, at once: the next may kill the process."""

    def __init__(self, path):
        super().__init__()
        self._path = path
        self._said = {}

    def tell(self, **event):
        """Append a line.  The file is opened anew each time, since tests count descriptors."""
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def startTest(self, test):
        super().startTest(test)
        self._said, self._since = {"outcome": "passed"}, time.monotonic()
        self.tell(begin=test._testMethodName)

    def stopTest(self, test):
        super().stopTest(test)
        seconds = round(time.monotonic() - self._since, 2)
        self.tell(end=test._testMethodName, seconds=seconds, **self._said)

    def addSkip(self, test, reason):
        self._say(test, "skipped", reason)

    def addFailure(self, test, err):
        self._say(test, "failed", _text(err))

    def addError(self, test, err):
        self._say(test, "failed", _text(err))

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._say(test, "failed", _text(err))

    def addUnexpectedSuccess(self, test):
        self._say(test, "failed", "it passed, which CPython says it does not")

    def _say(self, test, outcome, why):
        said = {"outcome": outcome, "why": why}
        if not isinstance(test, unittest.TestCase):
            self.tell(place=test.id().split()[0], **said)  # set-up or clean-up of a class or module
        elif self._said["outcome"] != "failed":
            self._said = said


def _text(err):
    return "".join(traceback.format_exception(*err))
