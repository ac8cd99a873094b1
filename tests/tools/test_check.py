"""The run of all checks: each is run, one failure fails the whole."""

import sys

import pytest

from tools import check


def part(name: str, code: str, needs: str = "") -> check.Part:
    return check.Part(name, "some", (sys.executable, "-c", code), needs=needs)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[check.Part]:
    found = [part("good", "print('fine')"), part("bad", "exit(3)"), part("last", "print('still run')")]
    monkeypatch.setattr(check, "PARTS", found)
    return found


@pytest.mark.usefixtures("parts")
def test_a_failure_fails_the_whole_and_stops_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.main([]) == 1
    out = capfd.readouterr().out
    assert "still run" in out
    assert "FAILED   bad" in out
    assert "passed   last" in out


@pytest.mark.usefixtures("parts")
def test_parts_and_groups_are_chosen_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.main(["good"]) == 0
    assert "still run" not in capfd.readouterr().out
    assert check.main(["some"]) == 1


def test_some_parts_run_only_when_all_is_asked_for(
    parts: list[check.Part], capfd: pytest.CaptureFixture[str]
) -> None:
    parts[:] = [parts[0], check.Part("long", "all", (sys.executable, "-c", "print('took long')"))]
    assert check.main([]) == 0
    assert "took long" not in capfd.readouterr().out
    assert check.main(["all"]) == 0
    out = capfd.readouterr().out
    assert "took long" in out
    assert "passed   good" in out


@pytest.mark.usefixtures("parts")
def test_an_unknown_part_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.main(["god"]) == 2
    assert "no such part: god; there are good, bad, last" in capfd.readouterr().out


def test_what_is_not_installed_is_passed_over_visibly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "PARTS", [part("rust-lint", "exit(1)", needs="clippy")])
    monkeypatch.setattr(check.shutil, "which", lambda name: None)
    assert check.main([]) == 0
    out = capfd.readouterr().out
    assert "skipped  rust-lint" in out
    assert "rustup component add clippy" in out
