"""Controllers and workers, made of the production code that runs in theirs."""

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

from faults.simulation.actors import Actor
from faults.simulation.bus import Doorbell
from faults.simulation.results import ChildDied, compute
from faults.simulation.scenarios import Scenario
from faults.simulation.world import SETTINGS, World

from models.evaluations import Claim
from worker.attempt import Attempts
from worker.board import Board
from worker.controller import control
from worker.controller_presence import ControllerPresence
from worker.dispatch import Dispatcher
from worker.leases import LeaseKeeper
from worker.membership import Membership
from worker.outcomes import Outcome
from worker.presence import Presence

#: Slots of the workers.
_SLOTS: Final = {"w1": 2, "w2": 1, "w3": 1}
_CONTROLLERS: Final = ("c1", "c2")
_ATTEND_S: Final = 1.0


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
        presence = ControllerPresence(world.engine, dispatcher, SETTINGS, name=self.name, monotonic=world.monotonic)
        control(
            world.engine, bell, dispatcher, presence, SETTINGS, bell,  # type: ignore[arg-type]  # likewise
            reach=world.reach, monotonic=world.monotonic,
        )  # fmt: skip


class Slot:
    """One process of a worker's pool; `pid` tells it from the others of the worker."""

    def __init__(self, worker: "Worker", pid: int) -> None:
        self.pid = pid
        self.doorbell: Doorbell | None = None
        self._worker = worker
        self.actor = Actor(f"{worker.name}/{pid}", self._run)

    @property
    def is_free(self) -> bool:
        """Whether it takes a doorbell now."""
        return self.doorbell is None and not self.actor.is_dead and not self.actor.is_frozen

    def kill(self) -> None:
        """Ends it."""
        self._worker.world.kill(self.actor)

    def _run(self) -> None:
        world, worker = self._worker.world, self._worker
        attempts = Attempts(
            world.engine, SETTINGS, worker=worker.name, board=worker.board_of(self.pid), compute=self._compute,
            reach=world.reach, pause=world.rest,
        )  # fmt: skip
        while True:
            while self.doorbell is None:
                world.rest(math.inf)
            try:
                attempts.run(self.doorbell.ids)
            except ChildDied:
                return
            self.doorbell = None

    def _compute(self, claims: Sequence[Claim]) -> list[tuple[Claim, Outcome]]:
        scenario, stand_still = self._worker.scenario, self._worker.world.compute
        return list(compute(claims, failing=scenario.failing, deadly=scenario.deadly, stand_still=stand_still))


class Pool:
    """Stands for `worker.pool.Pool`: the processes of a simulated worker."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker

    def is_dead(self, pid: int) -> bool:
        """Whether it has ended."""
        slot = self._slot(pid)
        return slot is None or slot.actor.is_dead

    def is_stopped(self, pid: int) -> bool:
        """Whether it gets no turns."""
        slot = self._slot(pid)
        return slot is not None and slot.actor.is_frozen

    def resident_bytes(self, _: int) -> int:
        """Nothing grows here."""
        return 0

    def ending(self, _: int) -> str:
        """Returns how it died."""
        return "it was simulated"

    @contextlib.contextmanager
    def stopped(self, pid: int) -> Iterator[Slot | None]:
        """Yields the process, which gets no turn meanwhile."""
        yield None if self.is_dead(pid) else self._slot(pid)

    def _slot(self, pid: int) -> Slot | None:
        return next((slot for slot in self._worker.slots if slot.pid == pid), None)


class Worker:
    """A worker by its name: a parent process that beats and renews, and a pool that computes."""

    def __init__(self, world: World, scenario: Scenario, name: str, n_slots: int) -> None:
        self.name = name
        self.world = world
        self.scenario = scenario
        self._n_slots = n_slots
        self._n_started = 0
        self.start()

    def start(self) -> None:
        """Starts the processes."""
        world, calibration = self.world, self.scenario.calibration
        is_leaving = threading.Event()
        self._folder = world.folder / f"{self.name}-{self._n_started}"
        self.slots = [self._slot() for _ in range(self._n_slots)]
        about: dict[str, Any] = {"hardware": {}, "versions": {}, "calibration": calibration}
        membership = Membership(world.engine, worker=self.name, device="cpu", n_slots=self._n_slots, **about)
        keeper = LeaseKeeper(
            world.engine, SETTINGS, board=self.board_of(0), pool=Pool(self),  # type: ignore[arg-type]  # all that it uses
            memory_limit_bytes=math.inf, is_leaving=is_leaving.is_set, monotonic=world.monotonic,
        )  # fmt: skip
        self._presence = Presence(
            membership, keeper, period_s=SETTINGS.renew_s, is_leaving=is_leaving, is_stuck=lambda: False,
            n_stuck_beats=1, restart=lambda: None, monotonic=world.monotonic,
        )  # fmt: skip
        self.parent = Actor(self.name, self._attend)

    def board_of(self, pid: int) -> Board:
        """Returns the board as one of its processes sees it."""
        return Board(self._folder, pid=lambda: pid, monotonic=self.world.monotonic)

    def _slot(self) -> Slot:
        self._n_started += 1
        return Slot(self, self._n_started)

    @property
    def actors(self) -> list[Actor]:
        """All its processes."""
        return [self.parent, *(slot.actor for slot in self.slots)]

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
        return Actor(f"{self.name} leaving", self._presence.leave)

    def replace_dead(self) -> None:
        """Starts new processes for the dead ones of the pool, as Celery does in the parent."""
        if self.parent.is_dead or self.parent.is_frozen:
            return
        for place, slot in enumerate(self.slots):
            if slot.actor.is_dead:
                self.slots[place] = self._slot()
                shown = self.board_of(slot.pid).read_of(slot.pid)
                computing = [] if shown is None else [one.evaluation_id for one in shown.attempts]
                self.world.trace.fault("child died", worker=self.name, computing=computing)
                if self.parent.due is not None:
                    self.parent.due = self.world.clock.seconds  # a fork wakes it

    def _attend(self) -> None:
        while True:
            self._presence.attend()
            self.world.rest(_ATTEND_S)


def make_controllers(world: World) -> list[Controller]:
    """Returns the controllers of a schedule."""
    return [Controller(world, name) for name in _CONTROLLERS]


def make_workers(world: World, scenario: Scenario) -> list[Worker]:
    """Returns the workers of a schedule."""
    return [Worker(world, scenario, name, n_slots) for name, n_slots in _SLOTS.items()]
