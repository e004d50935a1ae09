"""Doorbells over real tables: who comes next, what travels together, and how much is in flight."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from calibrations import calibration
from kombu.exceptions import OperationalError
from sqlalchemy import Engine, select, update

from config.settings import Settings
from models import UnitOfWork
from models.states import EvaluationState
from models.tables import DEFAULT_TEAM_ID, Evaluation, Search, Team
from nas.calibration import Calibration
from worker.dispatch import Dispatcher


class Post:
    """Stands for Celery: keeps the ids of each message, or refuses them."""

    def __init__(self) -> None:
        self.sent: list[list[uuid.UUID]] = []
        self.n_taken = 10**9
        self.connection_errors: tuple[type[Exception], ...] = ()
        self.channel_errors: tuple[type[Exception], ...] = ()

    def connection_for_write(self) -> "Post":
        return self

    def send_task(self, _: str, *, kwargs: dict[str, Any], **__: Any) -> None:
        if len(self.sent) >= self.n_taken:
            raise OperationalError("away")
        self.sent.append([uuid.UUID(text) for text in kwargs["ids"]])


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def ring(engine: Engine, settings: Settings, post: Post) -> Callable[[], list[list[uuid.UUID]]]:
    """Lets a dispatcher run once, and returns the doorbells that it rang."""
    dispatcher = Dispatcher(engine, post, settings)  # type: ignore[arg-type]  # all that it uses

    def run() -> list[list[uuid.UUID]]:
        before = len(post.sent)
        assert dispatcher.run() == len(post.sent) - before
        return post.sent[before:]

    return run


def add_worker(work: UnitOfWork, *, n_slots: int = 1, measured: Calibration | None = None, name: str = "w") -> None:
    document = None if measured is None else measured.to_json()
    with work:
        work.workers.register(name, device="cpu", n_slots=n_slots, hardware={}, versions={}, calibration=document)
        work.commit()


PAYS = calibration(bundles={2: 16, 4: 8, 6: 1})


def want(work: UnitOfWork, n: int, *, team_id: uuid.UUID = DEFAULT_TEAM_ID, **changes: Any) -> list[uuid.UUID]:
    """Makes evaluations wait, of 4 qubits on the batched engine unless said otherwise."""
    fields = {"protocol_digest": "p", "engine": "batched", "qubits": 4, "priority": 0, "device": "cpu", **changes}
    with work:
        search = Search(team_id=team_id, name="test", spec={})
        work.session.add(search)
        work.session.flush()
        found = [
            work.evaluations.want(search, genome={}, genome_digest=str(uuid.uuid4()), protocol={}, **fields)[0]
            for _ in range(n)
        ]
        work.commit()
    return found


def add_team(work: UnitOfWork) -> uuid.UUID:
    with work:
        team = Team(name=str(uuid.uuid4()))
        work.session.add(team)
        work.commit()
        return team.id


def set_all(work: UnitOfWork, ids: list[uuid.UUID], **values: Any) -> None:
    with work:
        work.session.execute(update(Evaluation).where(Evaluation.id.in_(ids)).values(**values))
        work.commit()


Ring = Callable[[], list[list[uuid.UUID]]]


def test_evaluations_of_a_kind_travel_together_where_it_pays(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS)
    ids = want(work, 8)
    assert ring() == [ids]


def test_without_a_calibration_each_evaluation_travels_alone(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work)
    ids = want(work, 2)
    assert ring() == [[one] for one in ids]


@pytest.mark.parametrize("change", [{"engine": "lightning.qubit"}, {"qubits": 6}, {"qubits": 12}])
def test_what_gains_nothing_travels_alone(work: UnitOfWork, ring: Ring, change: dict[str, Any]) -> None:
    add_worker(work, measured=PAYS)
    ids = want(work, 2, **change)
    assert ring() == [[one] for one in ids]


def test_what_a_bundle_would_round_otherwise_travels_alone(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS)
    ids = want(work, 2)
    set_all(work, ids, protocol={"precision": "complex64"})
    assert ring() == [[one] for one in ids]


@pytest.mark.parametrize("change", [{"protocol_digest": "q"}, {"qubits": 2}, {"priority": 1}])
def test_other_protocols_widths_and_priorities_do_not_mix(work: UnitOfWork, ring: Ring, change: dict[str, Any]) -> None:
    add_worker(work, measured=PAYS)
    some, others = want(work, 2), want(work, 2, **change)
    assert sorted(ring()) == sorted([some, others])


def test_teams_do_not_mix(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS)
    mine, theirs = want(work, 3), want(work, 3, team_id=add_team(work))
    assert ring() == [mine, theirs]


@pytest.mark.parametrize("counter", ["crash_count", "lost_count"])
def test_what_has_lost_a_process_travels_alone_from_then_on(work: UnitOfWork, ring: Ring, counter: str) -> None:
    add_worker(work, measured=PAYS, n_slots=2)
    ids = want(work, 6)
    set_all(work, ids[1:2], **{counter: 1})
    assert sorted(map(len, ring())) == [1, 2, 3]
    assert [ids[1]] in [[*bundle] for bundle in messages(work)]


def messages(work: UnitOfWork) -> list[list[uuid.UUID]]:
    with work:
        rows = work.session.execute(select(Evaluation.message_id, Evaluation.id).order_by(Evaluation.sequence))
        found: dict[uuid.UUID | None, list[uuid.UUID]] = {}
        for message_id, evaluation_id in rows:
            found.setdefault(message_id, []).append(evaluation_id)
        return list(found.values())


def test_a_bundle_in_flight_counts_as_one_doorbell(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS, n_slots=1)
    ids = want(work, 40)
    assert [len(bundle) for bundle in ring()] == [8, 8]
    assert ring() == []
    with work:
        work.evaluations.claim(ids[:8], worker="w", lease_s=60)
        work.commit()
    assert ring() == []
    with work:
        assert work.queue.count_in_flight() == {
            ("cpu", EvaluationState.RUNNING): 1,
            ("cpu", EvaluationState.DISPATCHED): 1,
        }
    set_all(work, ids[:8], state=EvaluationState.CANCELLED, lease_expires_at=None)
    assert [len(bundle) for bundle in ring()] == [8]


def test_evaluations_that_an_older_version_dispatched_count_one_doorbell_each(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS, n_slots=1)
    old = want(work, 2, protocol_digest="old")
    set_all(work, old, state=EvaluationState.DISPATCHED)
    want(work, 8)
    assert ring() == []


def test_all_slots_get_something(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS, n_slots=4)
    want(work, 8)
    assert [len(bundle) for bundle in ring()] == [2, 2, 2, 2]


def test_a_team_with_bundles_and_one_without_get_as_many_doorbells(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS, n_slots=4)
    team = add_team(work)
    bundled, alone = want(work, 400), want(work, 400, team_id=team, engine="lightning.qubit", qubits=12)
    found = ring()
    assert len(found) == 8
    assert sum(bundle[0] in bundled for bundle in found) == sum(bundle[0] in alone for bundle in found) == 4


def test_a_higher_priority_goes_first_though_others_would_fill_a_bundle(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS, n_slots=1)
    want(work, 32)
    urgent = want(work, 2, engine="lightning.qubit", priority=5)
    assert ring() == [[one] for one in urgent]


def test_those_of_a_kind_find_one_another_among_others(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS, n_slots=1)
    mixed = [want(work, 1, protocol_digest=digest)[0] for digest in "abcdefgh" * 8]
    first, second = ring()
    assert (first, second) == (mixed[0::8], mixed[1::8])


def test_what_the_broker_does_not_take_waits_again_with_its_whole_bundle(
    work: UnitOfWork, ring: Ring, post: Post
) -> None:
    add_worker(work, measured=PAYS, n_slots=1)
    ids = want(work, 16)
    post.n_taken = 1
    assert ring() == [ids[:8]]
    with work:
        waiting = select(Evaluation.id).where(Evaluation.state == EvaluationState.PENDING).order_by(Evaluation.sequence)
        assert list(work.session.scalars(waiting)) == ids[8:]


def test_the_smallest_bundle_that_pays_everywhere_is_sent(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS, name="a")
    add_worker(work, measured=calibration(bundles={4: 2}), name="b")
    want(work, 40)
    assert {len(bundle) for bundle in ring()} == {2}


def test_an_empty_table_rings_nothing(work: UnitOfWork, ring: Ring) -> None:
    add_worker(work, measured=PAYS)
    assert ring() == []
