"""A state machine: what controllers, workers and the sweep do to evaluations, to the tables and to a model."""

import itertools
import uuid
from typing import Any

from faults.evaluation_model import Evaluations, Held, Key
from faults.simulation.clock import Clock
from faults.simulation.database import empty
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Engine, select

from models import Candidate, Evaluation, Search, UnitOfWork
from models.candidates import Told
from models.evaluations import Claim
from models.states import SearchState
from models.tables import DEFAULT_TEAM_ID, Team

CRASH_LIMIT, LOST_LIMIT, LEASE_S, RERING_S = 3, 4, 30.0, 60.0
WORKERS = ("w1", "w2")
GENOMES = ("a", "b")
SEARCHES = ((0, 0), (1, 0), (2, 1))  #: (search, its team)

ENOUGH = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)

searches = st.sampled_from([number for number, _ in SEARCHES])
workers = st.sampled_from(WORKERS)
genomes = st.sampled_from(GENOMES)
picks = st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True)


class Machine(RuleBasedStateMachine):
    """Does the same to the tables and to the model, and holds them to each other after each step."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__()
        empty(engine, thoroughly=False)
        self.engine, self.clock = engine, clock
        clock.seconds = 0.0
        self.model = Evaluations()
        self.ids: dict[Key, uuid.UUID] = {}
        self.held: list[tuple[Claim, Held]] = []  #: every claim that ever was, also those that hold no more
        self.numbers = itertools.count()
        with self.work() as work:
            teams = [DEFAULT_TEAM_ID, self._team(work)]
            rows = [Search(team_id=teams[t], name="s", spec={}, state=SearchState.RUNNING) for _, t in SEARCHES]
            work.session.add_all(rows)
            work.commit()
        self.searches = [row.id for row in rows]

    @staticmethod
    def _team(work: UnitOfWork) -> uuid.UUID:
        team = Team(name="others")
        work.session.add(team)
        work.session.flush()
        return team.id

    def work(self) -> UnitOfWork:
        return UnitOfWork(self.engine)

    def some(self, picks: list[int]) -> list[Key]:
        """Returns evaluations that there are, at least one of them if there is any."""
        known = list(self.ids)
        return list(dict.fromkeys(known[pick % len(known)] for pick in picks))

    def is_open(self, work: UnitOfWork, number: int) -> bool:
        return work.session.get_one(Search, self.searches[number]).state == SearchState.RUNNING

    @rule(number=searches, genome=genomes)
    def want(self, number: int, genome: str) -> None:
        key = (SEARCHES[number][1], genome)
        with self.work() as work:
            if (number, key) in self.model.candidates or not self.is_open(work, number):
                return
            search = work.session.get_one(Search, self.searches[number])
            fields = {"genome": {}, "protocol": {}, "protocol_digest": "p", "device": "cpu", "engine": "batched"}
            found, has_result = work.evaluations.want(search, genome_digest=genome, qubits=2, priority=0, **fields)  # type: ignore[arg-type]  # of mixed kinds
            row = {"genome": {}, "digest": genome, "evaluation_id": found, "is_cached": has_result}
            work.candidates.propose(search, next(self.numbers), [row])
            work.commit()
        assert self.ids.setdefault(key, found) == found
        assert has_result == self.model.want(number, key)

    @precondition(lambda self: self.ids)
    @rule(picks=picks)
    def dispatch(self, picks: list[int]) -> None:
        keys = self.some(picks)
        with self.work() as work:
            found = work.queue.dispatch([[self.ids[key] for key in keys]])
            work.commit()
        expected = self.model.dispatch(keys)
        assert found == ([[self.ids[key] for key in expected]] if expected else [])

    @precondition(lambda self: self.ids)
    @rule(picks=picks)
    def undispatch(self, picks: list[int]) -> None:
        keys = self.some(picks)
        with self.work() as work:
            work.queue.undispatch([self.ids[key] for key in keys])
            work.commit()
        self.model.undispatch(keys)

    @precondition(lambda self: self.ids)
    @rule(picks=picks, worker=workers)
    def claim(self, picks: list[int], worker: str) -> None:
        keys = self.some(picks)
        with self.work() as work:
            found = work.evaluations.claim([self.ids[key] for key in keys], worker=worker, lease_s=LEASE_S)
            work.commit()
        expected = sorted(self.model.claim(keys, worker, LEASE_S), key=lambda held: self.ids[held.key])
        assert [(one.evaluation_id, one.attempt) for one in found] == [
            (self.ids[held.key], held.attempt) for held in expected
        ]
        self.held += zip(found, expected, strict=True)

    @precondition(lambda self: self.held)
    @rule(worker=workers)
    def give_to_another(self, worker: str) -> None:
        """Puts back what each worker holds, and lets one claim it anew: whoever had it before is late."""
        for one in WORKERS:
            self.release(one)
        self.claim([0, 1, 2], worker)

    def claims(self, picks: list[int]) -> list[tuple[Claim, Held]]:
        """Returns claims, the newest the likelier, but also any that was lost long ago."""
        return [self.held[-1 - pick % len(self.held)] for pick in picks]

    @precondition(lambda self: self.held)
    @rule(picks=picks)
    def renew(self, picks: list[int]) -> None:
        chosen = self.claims(picks)
        with self.work() as work:
            found = work.evaluations.renew([claim for claim, _ in chosen], lease_s=LEASE_S)
            work.commit()
        still = self.model.renew([held for _, held in chosen], LEASE_S)
        assert {one.evaluation_id for one in found} == {self.ids[key] for key in still}

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0, 5), is_good=st.booleans())
    def settle(self, pick: int, is_good: bool) -> None:
        self.record(*self.claims([pick])[0], is_good=is_good)

    @precondition(lambda self: self.late)
    @rule(pick=st.integers(0, 5), is_good=st.booleans())
    def settle_late(self, pick: int, is_good: bool) -> None:
        self.record(*self.late[pick % len(self.late)], is_good=is_good)

    @property
    def late(self) -> list[tuple[Claim, Held]]:
        """Returns the claims that hold no more, of what another attempt is at."""
        rows = self.model.rows
        return [one for one in self.held if rows[one[1].key].state == "running" and not self.model.holds(one[1])]

    def record(self, claim: Claim, held: Held, *, is_good: bool) -> None:
        """Offers an outcome, which is taken if and only if the claim still holds."""
        with self.work() as work:
            if is_good:
                is_recorded = work.evaluations.succeed(claim, {"of": held.attempt})
            else:
                is_recorded = work.evaluations.fail(claim, {"class": "broken", "message": "it broke"})
            work.commit()
        result, error = ({"of": held.attempt}, None) if is_good else (None, "broken")
        assert is_recorded == self.model.settle(held, result=result, error=error)

    @rule(worker=workers)
    def release(self, worker: str) -> None:
        with self.work() as work:
            n = work.evaluations.release(worker)
            work.commit()
        assert n == self.model.release(worker)

    @precondition(lambda self: self.held)
    @rule(picks=picks)
    def crash(self, picks: list[int]) -> None:
        chosen = self.claims(picks)
        with self.work() as work:
            shown = [claim.token for claim, _ in chosen]
            n = work.evaluations.record_crash(shown, limit=CRASH_LIMIT, how="it was tested")
            work.commit()
        assert n == self.model.crash([held for _, held in chosen], CRASH_LIMIT)

    @rule()
    def sweep(self) -> None:
        with self.work() as work:
            found = (
                work.evaluations.sweep_lost(limit=LOST_LIMIT),
                work.evaluations.sweep_unclaimed("cpu", after_s=RERING_S),
                work.evaluations.revive_wanted(),
            )
            work.commit()
        model = self.model
        assert found == (model.sweep_lost(LOST_LIMIT), model.sweep_unclaimed(RERING_S), model.revive())

    @rule(number=searches)
    def tell(self, number: int) -> None:
        with self.work() as work:
            search = work.session.get_one(Search, self.searches[number])
            before = search.n_settled
            untold = work.candidates.untold(search.id)
            work.candidates.tell(search, [self._told(candidate, evaluation) for candidate, evaluation in untold])
            work.commit()
        assert search.n_settled - before == self.model.tell(number)

    @staticmethod
    def _told(candidate: Candidate, evaluation: Evaluation) -> Told:
        if evaluation.error is not None:
            return Told(candidate.id, objectives=None, violation=None, metrics=None, error=evaluation.error)
        return Told(candidate.id, objectives=[1.0], violation=0.0, metrics=evaluation.result, error=None)

    @rule(number=searches)
    def cancel(self, number: int) -> None:
        with self.work() as work:
            if not self.is_open(work, number):
                return
            search = work.session.get_one(Search, self.searches[number])
            work.searches.end(search, SearchState.CANCELLED, "cancelled")
            n = work.evaluations.cancel_unwanted(search.id)
            work.commit()
        assert n == self.model.cancel(number)

    @rule(seconds=st.sampled_from([1.0, 10.0, 31.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.model.now += seconds

    @invariant()
    def the_tables_are_the_model(self) -> None:
        with self.work() as work:
            rows = {row.id: row for row in work.session.scalars(select(Evaluation))}
            candidates = work.session.execute(select(Candidate.search_id, Candidate.evaluation_id, Candidate.state))
            states = {(search, evaluation): state for search, evaluation, state in candidates}
        assert {key: self._shown(rows[one]) for key, one in self.ids.items()} == {
            key: _expected(row) for key, row in self.model.rows.items()
        }
        assert len(rows) == len(self.ids)
        assert states == {
            (self.searches[number], self.ids[key]): state for (number, key), state in self.model.candidates.items()
        }

    def _shown(self, row: Evaluation) -> tuple[Any, ...]:
        lease = None if row.lease_expires_at is None else self.clock.seconds_at(row.lease_expires_at)
        worker = row.worker if row.state == "running" else None
        kind = None if row.error is None else row.error["class"]
        counts = (row.attempt, row.crash_count, row.lost_count)
        return (row.state, *counts, worker, lease, row.settled_attempt, row.result, kind)

    @invariant()
    def only_a_running_evaluation_has_an_owner_and_its_outcome_is_of_its_last_attempt(self) -> None:
        for row in self.model.rows.values():
            assert (row.state == "running") == (row.lease_until is not None)
            assert row.settled_attempt in (None, row.attempt)


def _expected(row: Any) -> tuple[Any, ...]:
    worker = row.worker if row.state == "running" else None
    counts = (row.attempt, row.crash_count, row.lost_count)
    return (row.state, *counts, worker, row.lease_until, row.settled_attempt, row.result, row.error)
