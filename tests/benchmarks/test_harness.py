"""How a case is measured and shown."""

from benchmarks.harness import Case, machine, measure, number, report


def case(target: float, higher: bool) -> Case:
    asked: list[tuple[str, int]] = []

    def contender(name: str, value: float) -> float:
        asked.append((name, len(asked)))
        return value + len(asked)

    return Case(
        name="some",
        title="Some thing",
        unit="µs",
        operations=1000,
        contenders={
            "procession": lambda operations: contender("procession", operations),
            "nothing": lambda _: contender("nothing", 0),
        },
        floor="nothing",
        higher_is_better=higher,
        target=target,
    )


def test_contenders_take_turns() -> None:
    first, second = measure(case(1, higher=False), repeats=3, scale=1)
    assert first.values == [1001, 1003, 1005]
    assert second.values == [2, 4, 6]
    assert first.median == 1003


def test_a_scale_makes_it_short() -> None:
    (first, _) = measure(case(1, higher=False), repeats=1, scale=0.1)
    assert first.values == [101]


def test_the_table_says_whether_the_target_is_met() -> None:
    for target, higher, verdict in [
        (10, False, "MISSED: under 10"),
        (5000, False, "met: under 5,000"),
        (10, True, "met: at least 10"),
        (5000, True, "MISSED: at least 5,000"),
    ]:
        some = case(target, higher)
        title, first, second = report(some, measure(some, repeats=1, scale=1))
        assert ("higher" if higher else "lower") in title
        assert first.endswith(verdict)
        assert second.endswith("floor")


def test_numbers_have_three_digits_that_count() -> None:
    assert [number(v) for v in (0.12345, 1.5, 99.96, 1234567.8)] == ["0.123", "1.5", "100", "1,234,568"]


def test_the_machine_is_described() -> None:
    assert {"cpu", "cores", "kernel", "python"} <= set(machine())
