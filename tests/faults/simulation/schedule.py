"""One schedule: turns and disturbances as the seed says, then all heals and runs to the end."""

import uuid
from collections.abc import Callable
from typing import Final

from faults.simulation.actors import Actor, Stuck
from faults.simulation.bus import Troubles
from faults.simulation.fleet import Worker, make_controllers, make_workers
from faults.simulation.requests import Caller, add_teams
from faults.simulation.scenarios import Scenario
from faults.simulation.world import SETTINGS, World
from sqlalchemy import func, select

from models.states import CONFIRMATION_OPEN, EVALUATION_IN_FLIGHT, SEARCH_OPEN
from models.tables import Confirmation, Evaluation, Search

#: Rounds after all has healed, in which every process gets a turn: more is no progress.
_MAX_ROUNDS: Final = 150

_BUSY_S, _IDLE_S = 0.5, 9.0


class Schedule:
    """Runs the searches of a scenario in a world."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        self.world = world
        self.scenario = scenario
        add_teams(world)
        self.controllers = make_controllers(world)
        self.workers = make_workers(world, scenario)
        self.callers = [Caller(world, request, number) for number, request in enumerate(scenario.requests)]
        self._others: list[Actor] = []
        self._n_rounds = 0
        self._actions: dict[str, Callable[[], None]] = {
            "run": self._run,
            "deliver": self._deliver,
            "wait": lambda: self._advance(world.rng.uniform(0.1, 3.0)),
            "request": self._request,
            "start": self._start,
            "stall": self._stall,
            "kill controller": self._kill_controller,
            "kill worker": self._kill_worker,
            "crash": self._crash,
            "terminate": self._terminate,
            "freeze": self._freeze,
            "thaw": self._thaw,
            "lose": self._lose,
            "double": self._double,
            "flush": self._flush,
            "broker": self._break_broker,
            "database": self._break_database,
        }

    def disturb(self) -> None:
        """Takes the steps of the profile, or fewer when all has ended."""
        profile, rng = self.world.profile, self.world.rng
        names = [name for name, weight in profile.weights.items() if weight > 0]
        weights = [profile.weights[name] for name in names]
        for _ in range(profile.n_steps):
            (name,) = rng.choices(names, weights)
            self._actions[name]()
            for worker in self.workers:
                worker.replace_dead()

    def heal(self) -> None:
        """Mends everything, starts what is dead, and gives all a turn in order until all searches have ended.

        Raises:
            Stuck: they do not end.
        """
        world = self.world
        world.trace.note("all heals")
        world.is_calm, world.is_database_away = True, False
        world.bus.is_away, world.bus.troubles = False, Troubles()
        for worker in self.workers:
            worker.freeze(is_frozen=False)
        for process in (*self.controllers, *self.workers):
            if process.is_dead:
                process.start()
        for _ in range(_MAX_ROUNDS):
            has_moved = self._round()
            if not has_moved and self._has_ended():
                return
            self._advance(_BUSY_S if has_moved else _IDLE_S)
        raise Stuck(f"after {_MAX_ROUNDS} rounds without a fault, {self._open()}")

    def end(self) -> None:
        """Ends all processes."""
        for actor in self._living():
            self.world.kill(actor)
        for worker in self.workers:
            for actor in worker.actors:
                self.world.kill(actor)

    def _round(self) -> bool:
        has_moved = False
        for caller in self.callers:
            has_moved |= self._request_of(caller)
        # Of two controllers with nothing in their way, the second would find nothing to do.
        idle = self.controllers[self._n_rounds % 2].actor
        for actor in self._runnable():
            if actor is not idle or actor.due is None:
                self.world.resume(actor)
        self._n_rounds += 1
        for worker in self.workers:
            worker.replace_dead()
            for slot in worker.slots:
                if slot.is_free and self.world.bus.waiting:
                    slot.doorbell = self.world.bus.take(0)
                    has_moved = True
                if slot.doorbell is not None:
                    self.world.resume(slot.actor)
        self._others = [actor for actor in self._others if not actor.is_dead]
        return has_moved

    def _living(self) -> list[Actor]:
        calls = [caller.actor for caller in self.callers if caller.actor is not None]
        processes = [one.actor for one in self.controllers] + [one for each in self.workers for one in each.actors]
        return [one for one in (*processes, *calls, *self._others) if not one.is_dead and not one.is_frozen]

    def _runnable(self) -> list[Actor]:
        now = self.world.clock.seconds
        if self.world.is_ringing:
            self.world.is_ringing = False
            for controller in self.controllers:
                if controller.actor.due is not None:
                    controller.actor.due = now
        return [one for one in self._living() if one.due is None or one.due <= now]

    def _has_ended(self) -> bool:
        return not self._open() and all(
            caller.search_id is not None and not caller.is_busy and self._is_content(caller) for caller in self.callers
        )

    def _is_content(self, caller: Caller) -> bool:
        return (caller.has_cancelled or not caller.request.is_cancelled) and (
            caller.has_confirmed or not caller.request.is_confirmed
        )

    def _open(self) -> str:
        with self.world.engine.connect() as connection:
            counts = {
                "searches": select(func.count()).where(Search.state.in_(SEARCH_OPEN)),
                "confirmations": select(func.count()).where(Confirmation.state.in_(CONFIRMATION_OPEN)),
                "evaluations": select(func.count()).where(Evaluation.state.in_(EVALUATION_IN_FLIGHT)),
            }
            found = {name: connection.scalar(statement) for name, statement in counts.items()}
        return ", ".join(f"{n} {name} are open" for name, n in found.items() if n)

    def _has_finished(self, caller: Caller) -> bool:
        statement = select(Search.state).where(Search.id == caller.search_id)
        with self.world.engine.connect() as connection:
            return connection.scalar(statement) not in SEARCH_OPEN

    def _advance(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    # ── disturbances ──────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        runnable = self._runnable()
        if runnable:
            self.world.resume(self.world.rng.choice(runnable))

    def _deliver(self) -> None:
        free = [slot for worker in self.workers for slot in worker.slots if slot.is_free]
        if free and self.world.bus.waiting and not self.world.bus.is_away:
            slot = self.world.rng.choice(free)
            slot.doorbell = self.world.bus.take(self.world.rng.randrange(len(self.world.bus.waiting)))
            self.world.trace.note("delivers", to=slot.actor.name, ids=slot.doorbell.ids)
            self.world.resume(slot.actor)

    def _request(self) -> None:
        self._request_of(self.world.rng.choice(self.callers))

    def _request_of(self, caller: Caller) -> bool:
        if caller.is_busy:
            return False
        if caller.search_id is None:
            caller.submit()
        elif caller.request.is_cancelled and not caller.has_cancelled:
            caller.cancel()
        elif caller.request.is_confirmed and not caller.has_confirmed and self._has_finished(caller):
            caller.confirm()
        else:
            return False
        return True

    def _start(self) -> None:
        dead = [one for one in (*self.controllers, *self.workers) if one.is_dead]
        if dead:
            chosen = self.world.rng.choice(dead)
            self.world.trace.note("starts", process=chosen.name)
            chosen.start()

    def _stall(self) -> None:
        # Longer than a lease, or than a doorbell may stay unanswered.
        seconds = self.world.rng.choice([SETTINGS.lease_s, SETTINGS.rering_s]) + 1.0
        self.world.trace.fault("standstill", for_s=seconds)
        self._advance(seconds)

    def _kill_controller(self) -> None:
        chosen = self.world.rng.choice(self.controllers)
        if not chosen.is_dead:
            self.world.trace.fault("controller killed", name=chosen.name)
            self.world.kill(chosen.actor)

    def _worker(self) -> Worker | None:
        living = [one for one in self.workers if not one.is_dead]
        return self.world.rng.choice(living) if living else None

    def _kill_worker(self) -> None:
        worker = self._worker()
        if worker is not None:
            self.world.trace.fault("worker killed", name=worker.name)
            # The broker hands out again what was not acknowledged, sooner or later or never.
            unacknowledged = worker.kill()
            self.world.bus.waiting.extend(one for one in unacknowledged if self.world.rng.random() < 0.5)

    def _crash(self) -> None:
        slots = [
            slot
            for worker in self.workers
            for slot in worker.slots
            if slot.doorbell is not None and not slot.actor.is_dead and self._is_unblamed(slot.doorbell.ids)
        ]
        if slots and not self.scenario.deadly:
            self.world.kill(self.world.rng.choice(slots).actor)

    def _is_unblamed(self, ids: tuple[uuid.UUID, ...]) -> bool:
        statement = select(func.max(Evaluation.crash_count)).where(Evaluation.id.in_(ids))
        with self.world.engine.connect() as connection:
            return connection.scalar(statement) == 0

    def _terminate(self) -> None:
        worker = self._worker()
        if worker is not None:
            self.world.trace.fault("worker terminated", name=worker.name)
            self._others.append(worker.terminate())

    def _freeze(self) -> None:
        worker = self._worker()
        if worker is not None:
            self.world.trace.fault("worker frozen", name=worker.name)
            worker.freeze(is_frozen=True)

    def _thaw(self) -> None:
        worker = self._worker()
        if worker is not None:
            self.world.trace.note("lets go on", worker=worker.name)
            worker.freeze(is_frozen=False)

    def _lose(self) -> None:
        waiting = self.world.bus.waiting
        if waiting:
            self.world.trace.fault("message lost", ids=waiting.pop(self.world.rng.randrange(len(waiting))).ids)

    def _double(self) -> None:
        if self.world.bus.waiting:
            doubled = self.world.rng.choice(self.world.bus.waiting)
            self.world.trace.fault("message doubled", ids=doubled.ids)
            self.world.bus.waiting.append(doubled)

    def _flush(self) -> None:
        self.world.trace.fault("broker emptied", n=len(self.world.bus.waiting))
        self.world.bus.waiting.clear()

    def _break_broker(self) -> None:
        self.world.bus.is_away = not self.world.bus.is_away
        if self.world.bus.is_away:
            self.world.trace.fault("broker away")
        else:
            self.world.trace.note("broker back")

    def _break_database(self) -> None:
        self.world.is_database_away = not self.world.is_database_away
        if self.world.is_database_away:
            self.world.trace.fault("database away")
        else:
            self.world.trace.note("database back")
