"""Controllers and workers, made of the production code that runs in theirs."""

import functools
import math
from collections.abc import Sequence
from typing import Any, Final

from faults.simulation.actors import Actor
from faults.simulation.bus import Doorbell
from faults.simulation.results import ChildDied, compute
from faults.simulation.scenarios import Scenario
from faults.simulation.world import SETTINGS, World

from models import UnitOfWork, is_transient
from models.evaluations import Claim, Token
from worker.attempt import Attempts, LeaseLost
from worker.controller import control
from worker.controller_presence import ControllerPresence
from worker.dispatch import Dispatcher
from worker.membership import Membership
from worker.outcomes import Outcome

#: Slots of the workers.
_SLOTS: Final = {"w1": 2, "w2": 1, "w3": 1}
_CONTROLLERS: Final = ("c1", "c2")
_BEAT_S: Final = 5.0
_RETRY_S: Final = 2.0


class Bell:
    """Stands for `models.Bell`: whoever waits gets a turn when it rings, or after the time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def wait(self, timeout_s: float) -> bool:
        """Waits."""
        self._world.rest(timeout_s)
        return False

    def is_set(self) -> bool:
        """Stands for the signal to stop, which nobody gives."""
        return False


class Controller:
    """A controller process, by its name; it may die and be started again."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self.start()

    def start(self) -> None:
        """Starts the process."""
        self.actor = Actor(self.name, self._run)

    @property
    def is_dead(self) -> bool:
        """Whether it was killed."""
        return self.actor.is_dead

    def _run(self) -> None:
        world, bell = self._world, Bell(self._world)
        dispatcher = Dispatcher(world.engine, world.bus, SETTINGS, reach=world.reach)  # type: ignore[arg-type]  # all that it uses
        presence = ControllerPresence(world.engine, dispatcher, SETTINGS, name=self.name, monotonic=self._seconds)
        control(
            world.engine, bell, dispatcher, presence, SETTINGS, bell,  # type: ignore[arg-type]  # likewise
            reach=world.reach, monotonic=self._seconds,
        )  # fmt: skip

    def _seconds(self) -> float:
        return self._world.clock.seconds


class Slot:
    """One process of a worker's pool."""

    def __init__(self, worker: "Worker", number: int) -> None:
        self.doorbell: Doorbell | None = None
        self.claims: list[Claim] = []
        self.is_abandoned = False  #: none of its claims holds any more
        self._worker = worker
        self.actor = Actor(f"{worker.name}/{number}", self._run)

    @property
    def is_free(self) -> bool:
        """Whether it takes a doorbell now."""
        return self.doorbell is None and not self.actor.is_dead and not self.actor.is_frozen

    def _run(self) -> None:
        world = self._worker.world
        attempts = Attempts(
            world.engine, SETTINGS, worker=self._worker.name, compute=self._compute, reach=world.reach, pause=world.rest
        )
        while True:
            while self.doorbell is None:
                world.rest(math.inf)
            try:
                attempts.run(self.doorbell.ids)
            except ChildDied:
                return
            self.doorbell, self.claims, self.is_abandoned = None, [], False

    def _compute(self, claims: Sequence[Claim]) -> list[tuple[Claim, Outcome]]:
        self.claims = list(claims)
        scenario = self._worker.scenario
        found = compute(claims, failing=scenario.failing, deadly=scenario.deadly, stand_still=self._stand_still)
        return list(found)

    def _stand_still(self) -> None:
        self._worker.world.compute()
        if self.is_abandoned:
            raise LeaseLost


class Worker:
    """A worker by its name: a parent process that beats and renews, and a pool that computes."""

    def __init__(self, world: World, scenario: Scenario, name: str, n_slots: int) -> None:
        self.name = name
        self.world = world
        self.scenario = scenario
        self._n_slots = n_slots
        self._n_started = 0
        self.mourning: list[Actor] = []
        self.start()

    def start(self) -> None:
        """Starts the processes."""
        self.parent = Actor(f"{self.name}", self._beat)
        about: dict[str, Any] = {"hardware": {}, "versions": {}, "calibration": self.scenario.calibration}
        self._membership = Membership(self.world.engine, worker=self.name, device="cpu", n_slots=self._n_slots, **about)
        self.slots = [self._slot() for _ in range(self._n_slots)]

    def _slot(self) -> Slot:
        self._n_started += 1
        return Slot(self, self._n_started)

    @property
    def actors(self) -> list[Actor]:
        """All its processes."""
        return [self.parent, *(slot.actor for slot in self.slots), *self.mourning]

    @property
    def is_dead(self) -> bool:
        """Whether its parent process is."""
        return self.parent.is_dead

    def freeze(self, *, is_frozen: bool) -> None:
        """Stops all processes (SIGSTOP), or lets them go on."""
        for actor in self.actors:
            actor.is_frozen = is_frozen

    def kill(self) -> list[Doorbell]:
        """Ends all processes (SIGKILL), and returns what they had not acknowledged."""
        for actor in self.actors:
            self.world.kill(actor)
        return [slot.doorbell for slot in self.slots if slot.doorbell is not None]

    def terminate(self) -> Actor:
        """Ends its processes in order (SIGTERM), and returns the one that puts back what they held."""
        self.kill()
        return Actor(f"{self.name} leaving", self._leave)

    def replace_dead(self) -> None:
        """Blames what dead processes of the pool computed, and starts new ones: what a parent does."""
        if self.parent.is_dead or self.parent.is_frozen:
            return
        for place, slot in enumerate(self.slots):
            if slot.actor.is_dead:
                self.slots[place] = self._slot()
                shown = [claim.token for claim in slot.claims]
                self.world.trace.fault("child died", worker=self.name, computing=[one.evaluation_id for one in shown])
                self.mourning.append(Actor(f"{self.name} mourning", functools.partial(self._blame, shown)))
        self.mourning = [actor for actor in self.mourning if not actor.is_dead]

    def _leave(self) -> None:
        try:
            self._membership.leave()
        except Exception as failure:
            if not is_transient(failure):
                raise
            self.world.trace.note("leaves silently")

    def _blame(self, shown: list[Token]) -> None:
        while shown:
            try:
                with UnitOfWork(self.world.engine) as work:
                    work.evaluations.record_crash(shown, limit=SETTINGS.crash_limit, how="it was simulated")
                    work.ring()
                    work.commit()
                    return
            except Exception as failure:
                if not is_transient(failure):
                    raise
                self.world.rest(_RETRY_S)

    def _beat(self) -> None:
        while True:
            for step in (self._renew, self._membership.beat):
                try:
                    step()
                except Exception as failure:
                    if not is_transient(failure):
                        raise
            self.world.rest(_BEAT_S)

    def _renew(self) -> None:
        at_work = [slot for slot in self.slots if slot.claims and not slot.actor.is_dead]
        shown = {claim.token for slot in at_work for claim in slot.claims}
        if not shown:
            return
        with UnitOfWork(self.world.engine) as work:
            held = work.evaluations.renew(shown, lease_s=SETTINGS.lease_s)
            work.commit()
        for slot in at_work:
            if held.isdisjoint(claim.token for claim in slot.claims):
                slot.is_abandoned = True


def make_controllers(world: World) -> list[Controller]:
    """Returns the controllers of a schedule."""
    return [Controller(world, name) for name in _CONTROLLERS]


def make_workers(world: World, scenario: Scenario) -> list[Worker]:
    """Returns the workers of a schedule."""
    return [Worker(world, scenario, name, n_slots) for name, n_slots in _SLOTS.items()]
