"""What may break, and which test shows what then holds: the rows of docs/reliability.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
    """A claim about a fault, and the test of it as `path::name`."""

    by: str
    holds: str
    limit: float | None = None  #: of the recovery, if the test measures one
    unit: str = "s"  #: of the limit; `x` is a ratio


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault with what shows that it does no harm; or why there is nothing to show."""

    fault: str
    shown: tuple[Shown, ...] = ()
    absent: str | None = None


SCENARIOS = (
    Scenario(
        "controller SIGKILLed at each named step of a generation",
        (
            Shown(
                "tests/faults/test_controllers.py::test_another_controller_goes_on_where_one_was_killed",
                "another one takes the search further, and all that waited is claimed; same front",
                30,
            ),
        ),
    ),
)


def limit_of(test: str) -> float:
    """Returns the limit of a test that measures recoveries; KeyError if the table does not have it."""
    limits = {shown.by: shown.limit for scenario in SCENARIOS for shown in scenario.shown}
    limit = limits[test]
    assert limit is not None, f"{test} has no limit"
    return limit
