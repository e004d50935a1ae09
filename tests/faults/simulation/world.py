"""What simulated processes meet: the database, places at which others get their turn, and time."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from faults.simulation.actors import Actor
from faults.simulation.bus import Bus
from faults.simulation.clock import Clock
from faults.simulation.database import unreachable
from faults.simulation.profile import Profile
from faults.simulation.trace import Trace
from sqlalchemy import Engine

from config.settings import Settings
from worker.fault_points import FaultPoint

#: A schedule may lose an innocent evaluation more often than the usual limit of losses allows.
SETTINGS: Final = Settings(lost_limit=100)


class World:
    """One schedule's surroundings. `running` is the process whose turn it is; None is the schedule itself."""

    def __init__(self, engine: Engine, clock: Clock, rng: random.Random, profile: Profile, folder: Path) -> None:
        self.engine = engine
        self.folder = folder  #: of the schedule's own
        self.clock = clock
        self.rng = rng
        self.profile = profile
        self.trace = Trace(lambda: clock.seconds, lambda: self.running.name if self.running else "·")
        self.bus = Bus(self.trace, rng, profile.troubles)
        self.running: Actor | None = None
        self.is_calm = False  #: nothing breaks any more
        self.is_database_away = False
        self.is_ringing = False  #: controllers are to look, though they would sleep still

    def resume(self, actor: Actor) -> None:
        """Gives a process its turn."""
        self.running = actor
        try:
            actor.resume()
        finally:
            self.running = None

    def kill(self, actor: Actor) -> None:
        """Ends a process where it stands; another may do that in its turn."""
        killer, self.running = self.running, actor
        try:
            actor.kill()
        finally:
            self.running = killer

    def monotonic(self) -> float:
        """Returns the clock that is no calendar."""
        return self.clock.seconds

    def rest(self, seconds: float) -> None:
        """Called by a process that waits for time to pass."""
        self._stand_still(due=self.clock.seconds + seconds)

    def compute(self) -> None:
        """Called by a process that computes: others get their turns, as many as it takes."""
        if not self.is_calm:
            self._stand_still()
        while self._happens(self.profile.slow):
            self._stand_still()

    def reach(self, point: FaultPoint) -> None:
        """Called by a process at a named fault point."""
        self.trace.note(f"@ {point}")
        self._maybe(self.profile.turn_at_point)

    def before_statement(self, sql: str) -> None:
        """Called by a process before each statement. It may find the database away."""
        if self.running is None:
            return
        self.running.live()
        self.is_ringing |= "pg_notify" in sql
        self._maybe(self.profile.turn_at_statement)
        if self.is_database_away or self._happens(self.profile.cut):
            self.trace.fault("connection cut", before=sql[:40])
            raise unreachable("the connection was cut")

    def before_commit(self) -> None:
        """Called by a process before each commit."""
        if self.running is None:
            return
        self.running.live()
        if self.is_database_away or self._happens(self.profile.unknown_commit / 2):
            self.trace.fault("commit lost")
            raise unreachable("the connection was cut before the commit")

    def after_commit(self) -> None:
        """Called after each commit: the answer may be lost."""
        if self.running is not None and self._happens(self.profile.unknown_commit / 2):
            self.trace.fault("commit unheard")
            raise unreachable("the connection was cut after the commit").orig  # type: ignore[misc]

    def _happens(self, probability: float) -> bool:
        return not self.is_calm and probability > 0 and self.rng.random() < probability

    def _maybe(self, probability: float) -> None:
        if self._happens(probability):
            self._stand_still()

    def _stand_still(self, *, due: float | None = None) -> None:
        actor = self.running
        assert actor is not None
        actor.stand_still(due=due)


#: What a process runs.
Body = Callable[[], None]
