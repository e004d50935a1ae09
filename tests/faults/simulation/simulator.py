"""Runs schedules over one database, one after the other."""

import random
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from faults.simulation.actors import Stuck
from faults.simulation.clock import Clock
from faults.simulation.database import connect_through, empty
from faults.simulation.ids import Ids
from faults.simulation.profile import Profile
from faults.simulation.scenarios import SCENARIOS, Scenario
from faults.simulation.schedule import Schedule
from faults.simulation.trace import Trace
from faults.simulation.verdict import Outcome, differences, leftovers, outcome_of, violations_in
from faults.simulation.world import World

#: Schedules after which the space of deleted rows is given back.
_THOROUGHLY_EVERY: Final = 100


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a schedule."""

    seed: int | None
    scenario: str
    violations: tuple[str, ...]
    trace: Trace
    outcomes: tuple[Outcome, ...]


class Simulator:
    """Any number of schedules over a database of its own."""

    def __init__(self, url: str) -> None:
        self._clock = Clock()
        self._passage = _Passage()
        self.engine = connect_through(self._passage, self._clock, url)
        self._expected: dict[str, tuple[Outcome, ...]] = {}
        self._n_run = 0

    def run(self, seed: int, *, scenario: Scenario | None = None, profile: Profile | None = None) -> Report:
        """Returns what came of the schedule of a seed.

        Args:
            seed: of all that is left to chance.
            scenario: what is asked for; by default the seed says that, too.
            profile: what goes wrong, likewise.
        """
        rng = random.Random(seed)
        drawn = SCENARIOS[rng.randrange(len(SCENARIOS))]
        scenario = scenario or drawn
        self.learn(scenario)
        return self._run(seed, scenario, rng, profile or Profile.draw(rng))

    def learn(self, scenario: Scenario) -> None:
        """Finds out how the searches of a scenario come out when nothing goes wrong."""
        if scenario.name in self._expected:
            return
        calm = self._run(None, scenario.undisturbed, random.Random(0), Profile())
        if calm.violations:
            raise AssertionError(f"undisturbed, {scenario.name} already breaks: {calm.violations}")
        self._expected[scenario.name] = calm.outcomes

    def _run(self, seed: int | None, scenario: Scenario, rng: random.Random, profile: Profile) -> Report:
        empty(self.engine, thoroughly=self._n_run % _THOROUGHLY_EVERY == 0)
        self._n_run += 1
        self._clock.seconds = 0.0
        folder = tempfile.TemporaryDirectory()
        world = World(self.engine, self._clock, rng, profile, Path(folder.name))
        self._passage.world = world
        violations: list[str] = []
        outcomes: tuple[Outcome, ...] = ()
        with world.trace.taking_the_log(), Ids(self._clock, random.Random(rng.random())).in_place():
            schedule = Schedule(world, scenario)
            try:
                schedule.disturb()
                violations += violations_in(self.engine, has_ended=False)
                schedule.heal()
            except Stuck as stuck:
                violations.append(f"I7: {stuck}")
            except Exception as failure:  # of a process that no error may end
                world.trace.lines.extend(traceback.format_exception(failure))
                violations.append(f"a process died: {type(failure).__name__}: {failure}")
            finally:
                schedule.end()
                folder.cleanup()
        self._passage.world = None
        if not violations:
            violations += violations_in(self.engine, has_ended=True)
            violations += leftovers(self.engine, schedule.callers)
            outcomes = tuple(outcome_of(self.engine, caller) for caller in schedule.callers)
            expected = self._expected.get(scenario.name, outcomes)
            for caller, found, wanted in zip(schedule.callers, outcomes, expected, strict=True):
                violations += differences(caller, found, wanted)
        return Report(seed, scenario.name, tuple(violations), world.trace, outcomes)

    def close(self) -> None:
        """Closes the connections."""
        self.engine.dispose()


class _Passage:
    """Leads to the world of the schedule that runs; with none, statements pass."""

    world: World | None = None

    def before_statement(self, sql: str) -> None:
        if self.world is not None:
            self.world.before_statement(sql)

    def before_commit(self) -> None:
        if self.world is not None:
            self.world.before_commit()

    def after_commit(self) -> None:
        if self.world is not None:
            self.world.after_commit()
