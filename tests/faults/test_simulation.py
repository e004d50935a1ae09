"""A short fixed part of `make simulate`: schedules of faults over the real ring, none of which may break anything."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.simulation.bus import Troubles
from faults.simulation.clock import make_database
from faults.simulation.profile import FAULTS, USUAL, Profile
from faults.simulation.scenarios import SCENARIOS, Scenario
from faults.simulation.simulator import Simulator

#: Of each scenario. `make simulate` runs thousands.
N_SEEDS = 2

EVERYTHING = Profile(
    turn_at_point=0.3,
    turn_at_statement=0.01,
    cut=0.005,
    unknown_commit=0.1,
    troubles=Troubles(lost=0.2, doubled=0.2, refused=0.2),
    weights={**USUAL, **dict.fromkeys(FAULTS, 1.0)},
    n_steps=400,
)

#: Computations that take long, while leases run out and processes die.
LONG = Profile(turn_at_point=0.3, slow=0.95, weights={**USUAL, "stall": 2.0, "crash": 1.0}, n_steps=300)

TESTS = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def simulator(database_url: str) -> Iterator[Simulator]:
    """A simulator over a database of this module's own."""
    made = Simulator(make_database(database_url, "simulation"))
    yield made
    made.close()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_whatever_goes_wrong_the_searches_come_out_as_undisturbed(simulator: Simulator, scenario: Scenario) -> None:
    for seed in range(N_SEEDS):
        report = simulator.run(seed, scenario=scenario)
        assert report.violations == (), f"schedule {seed} of {scenario.name}"


def test_everything_at_once_breaks_nothing_either(simulator: Simulator) -> None:
    reports = [simulator.run(seed, scenario=SCENARIOS[0], profile=EVERYTHING) for seed in range(8)]
    assert {report.violations for report in reports} == {()}
    faults = {name for report in reports for name in report.trace.faults}
    assert {"controller killed", "worker killed", "child died", "worker terminated", "worker frozen"} <= faults
    assert {"message lost", "message doubled", "message refused", "broker away", "broker emptied"} <= faults
    assert {"connection cut", "commit lost", "commit unheard", "standstill", "database away"} <= faults


def test_the_keepers_of_leases_blame_and_kill(simulator: Simulator) -> None:
    reports = [simulator.run(seed, scenario=SCENARIOS[0], profile=LONG) for seed in range(4)]
    assert {report.violations for report in reports} == {()}
    told = "\n".join(line for report in reports for line in report.trace.lines)
    assert all(f" {event} " in told for event in ("process_died", "evaluation_abandoned"))


def test_a_seed_gives_the_same_schedule_in_any_process_and_after_any_other(
    simulator: Simulator, database_url: str
) -> None:
    simulator.run(1)
    here = simulator.run(2).trace.digest
    script = (
        "import sys\n"
        "from faults.simulation.clock import make_database\n"
        "from faults.simulation.simulator import Simulator\n"
        "print(Simulator(make_database(sys.argv[1], 'simulation_elsewhere')).run(2).trace.digest)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": "17"}
    command = [sys.executable, "-c", script, database_url]
    there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert here == there
