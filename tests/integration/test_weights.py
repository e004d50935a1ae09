"""Weights of fitted networks: recorded with the result, kept while a front has the candidate, and given out."""

import hashlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update
from starlette.testclient import TestClient

from api.app import create_app
from config.settings import Settings
from models import Candidate, Evaluation, Search, UnitOfWork
from models.states import EvaluationState, SearchState
from models.tables import DEFAULT_TEAM_ID
from nas.spec import parse_spec
from nas.training.datasets import load, side_by_side
from nas.training.fit import predict
from nas.training.hybrid import HybridNetworks
from nas.training.weights import from_safetensors
from worker.attempt import Attempts
from worker.controller import advance_one

SPEC: dict[str, Any] = {
    "name": "weights",
    "dataset": {"name": "iris"},
    "space": {"qubits": {"min": 2, "max": 5}, "layers": {"min": 1, "max": 5}, "topology": ["none", "linear", "ring"]},
    "objectives": [{"metric": "validation_accuracy"}, {"metric": "two_qubit_gates"}],
    "algorithm": {"population": 6, "generations": 2},
    "engine": "batched",
}


@pytest.fixture
def api(engine: Engine, settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def submit(engine: Engine, **changes: Any) -> uuid.UUID:
    spec = parse_spec({**SPEC, **changes})
    with UnitOfWork(engine) as work:
        document = spec.model_dump(mode="json")
        search, _ = work.searches.submit(DEFAULT_TEAM_ID, name=spec.name, spec=document, idempotency_key=None)
        work.commit()
        return search.id


def advance_all(engine: Engine) -> None:
    while advance_one(engine, Settings()):
        pass


def made_up(digest: str) -> dict[str, Any]:
    a, b = (byte / 255 for byte in hashlib.sha256(digest.encode()).digest()[:2])
    values = {"validation_accuracy": a, "two_qubit_gates": round(9 * b)}
    metrics = {name: {"value": v, "std_error": 0.0, "unit": "", "version": 1} for name, v in values.items()}
    return {"metrics": metrics, "curves": [[{"epoch": 1}]]}


def work_off(engine: Engine, limit: int | None = None) -> int:
    """Plays the workers, with weights that name their genome; returns how many evaluations there were."""
    with UnitOfWork(engine) as work:
        pending = select(Evaluation).where(Evaluation.state == EvaluationState.PENDING).order_by(Evaluation.sequence)
        evaluations = list(work.session.scalars(pending.limit(limit)))
        for evaluation in evaluations:
            (claim,) = work.evaluations.claim([evaluation.id], worker="w", lease_s=60)
            digest = evaluation.genome_digest
            assert work.evaluations.succeed(claim, made_up(digest), weights=digest.encode())
        work.commit()
    return len(evaluations)


def finish(engine: Engine) -> None:
    advance_all(engine)
    while work_off(engine, limit=4):
        advance_all(engine)


def kept(engine: Engine) -> set[str]:
    """Digests of the genomes whose weights are there."""
    with engine.connect() as connection:
        statement = select(Evaluation.genome_digest, Evaluation.weights).where(Evaluation.weights.is_not(None))
        found = {row.genome_digest: row.weights for row in connection.execute(statement)}
    assert all(content == digest.encode() for digest, content in found.items())
    return set(found)


def needed(engine: Engine) -> set[str]:
    """Digests of candidates on any front."""
    with engine.connect() as connection:
        return set(connection.scalars(select(Candidate.digest).where(Candidate.on_front)))


def test_the_weights_that_are_kept_are_those_of_the_front(engine: Engine) -> None:
    submit(engine)
    finish(engine)
    assert kept(engine) == needed(engine)
    with engine.connect() as connection:
        assert len(needed(engine)) < len(connection.scalars(select(Candidate.id)).all())


def test_the_weights_of_a_member_are_dropped_in_the_step_in_which_it_leaves_the_front(engine: Engine) -> None:
    submit(engine)
    advance_all(engine)
    seen: set[str] = set()
    while work_off(engine, limit=1):
        advance_all(engine)
        assert kept(engine) == needed(engine)
        seen |= kept(engine)
    assert seen > kept(engine)  # some left


def last_told(engine: Engine) -> set[uuid.UUID]:
    """Evaluations that candidates on any front were last told."""
    with engine.connect() as connection:
        return set(connection.scalars(select(Candidate.evaluation_id).where(Candidate.on_front)))


def with_weights(engine: Engine) -> set[uuid.UUID]:
    with engine.connect() as connection:
        return set(connection.scalars(select(Evaluation.id).where(Evaluation.weights.is_not(None))))


SECOND_LOOK = {"algorithm": {**SPEC["algorithm"], "reevaluate": {"factor": 2}}}


def test_an_early_stage_keeps_its_weights_no_longer_than_it_takes_to_be_told(engine: Engine) -> None:
    submit(engine, training={"stages": {"epochs": [2, 5]}})
    advance_all(engine)
    while work_off(engine, limit=3):
        advance_all(engine)
        assert with_weights(engine) == last_told(engine)


@pytest.mark.parametrize("training", [{}, {"stages": {"epochs": [0, 5]}}], ids=["at once", "in stages"])
def test_of_a_member_that_was_looked_at_again_the_last_fit_alone_is_kept(
    engine: Engine, training: dict[str, Any]
) -> None:
    submit(engine, training=training, **SECOND_LOOK)
    finish(engine)
    assert with_weights(engine) == last_told(engine) != set()
    with engine.connect() as connection:
        kept_protocols = connection.scalars(select(Evaluation.protocol).where(Evaluation.weights.is_not(None))).all()
    assert {protocol["training"]["replicates"] for protocol in kept_protocols} == {2}


def test_what_a_second_look_fitted_is_kept_until_its_round_is_complete(engine: Engine) -> None:
    search_id = submit(engine, **SECOND_LOOK)
    advance_all(engine)
    with UnitOfWork(engine) as work:
        search = work.session.get_one(Search, search_id)
        while search.reevaluation is None:
            work_off(engine)
            advance_all(engine)
            work.session.refresh(search)
    work_off(engine, limit=1)
    advance_all(engine)
    before = with_weights(engine)
    assert len(before) == len(last_told(engine)) + 1
    with UnitOfWork(engine) as work:
        ids = [row.id for row in work.candidates.measured(search_id)]
        assert work.weights.drop(ids) == 0
    assert with_weights(engine) == before


def test_weights_stay_while_a_candidate_of_another_search_waits_for_the_front(engine: Engine) -> None:
    submit(engine)
    advance_all(engine)
    work_off(engine)
    # The second search proposes the same first generation, whose results are there and not told to either search.
    second = submit(engine, name="second")
    with UnitOfWork(engine) as work:
        work.session.execute(update(Search).where(Search.id != second).values(advanced_at=None))
        work.commit()
    before = kept(engine)
    assert before
    finish(engine)
    assert kept(engine) == needed(engine)


def test_a_waiting_candidate_keeps_the_weights_of_a_result_that_another_search_has_no_use_for(engine: Engine) -> None:
    submit(engine)
    finish(engine)
    with UnitOfWork(engine) as work:
        loser = work.session.scalars(select(Candidate).where(~Candidate.on_front).limit(1)).one()
        other = Search(team_id=DEFAULT_TEAM_ID, name="other", spec=parse_spec(SPEC).model_dump(mode="json"))
        work.session.add(other)
        work.session.flush()
        row = {"genome": loser.genome, "digest": loser.digest, "evaluation_id": loser.evaluation_id, "is_cached": True}
        work.candidates.propose(other, 0, [row])
        work.session.execute(
            update(Evaluation).where(Evaluation.id == loser.evaluation_id).values(weights=loser.digest.encode())
        )
        assert work.weights.drop([loser.id]) == 0
        work.session.execute(update(Candidate).where(Candidate.search_id == other.id).values(state="cancelled"))
        assert work.weights.drop([loser.id]) == 1


def test_a_search_that_ends_leaves_no_weights_behind_but_those_of_its_front(engine: Engine, api: TestClient) -> None:
    search = submit(engine)
    advance_all(engine)
    work_off(engine, limit=3)
    # Results that are there and not told: nobody will tell them any more.
    assert len(kept(engine)) == 3
    assert api.post(f"/v1/searches/{search}/cancel").status_code == 202
    assert kept(engine) == needed(engine) == set()


def test_a_late_attempt_leaves_the_weights_as_they_are(engine: Engine) -> None:
    submit(engine)
    advance_all(engine)
    with UnitOfWork(engine) as work:
        one = work.session.scalars(select(Evaluation.id).limit(1)).one()
        (late,) = work.evaluations.claim([one], worker="late", lease_s=60)
        work.evaluations.release("late")
        (current,) = work.evaluations.claim([one], worker="w", lease_s=60)
        assert work.evaluations.succeed(current, {}, weights=b"current")
        assert not work.evaluations.succeed(late, {}, weights=b"late")
        assert work.weights.get(one) == b"current"


def test_a_row_that_is_read_does_not_load_its_weights(engine: Engine) -> None:
    submit(engine)
    finish(engine)
    with UnitOfWork(engine) as work:
        row = work.session.scalars(select(Evaluation).limit(1)).one()
        with pytest.raises(Exception, match="not available due to raiseload"):
            _ = row.weights


def members(api: TestClient, search: uuid.UUID) -> dict[bool, list[dict[str, Any]]]:
    items = api.get(f"/v1/searches/{search}/candidates").json()["items"]
    return {is_on: [one for one in items if one["is_on_front"] is is_on] for is_on in (True, False)}


def weights_of(api: TestClient, search: uuid.UUID | str, candidate: str) -> Any:
    return api.get(f"/v1/searches/{search}/candidates/{candidate}/weights")


def test_a_member_of_the_front_has_its_weights_and_others_a_reason(engine: Engine, api: TestClient) -> None:
    search = submit(engine)
    finish(engine)
    found = members(api, search)
    answer = weights_of(api, search, found[True][0]["id"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.safetensors")
    assert answer.content == found[True][0]["digest"].encode()
    refused = weights_of(api, search, found[False][0]["id"])
    assert (refused.status_code, refused.json()["title"]) == (404, "No weights")
    assert refused.json()["detail"].endswith("it is not on the front, and only those of its members are kept")


def test_a_candidate_of_another_search_is_not_found(engine: Engine, api: TestClient) -> None:
    search = submit(engine)
    finish(engine)
    answer = weights_of(api, uuid.uuid4(), members(api, search)[True][0]["id"])
    assert (answer.status_code, answer.json()["title"]) == (404, "Not found")


def test_weights_that_were_dropped_for_another_front_are_said_to_be(engine: Engine, api: TestClient) -> None:
    search = submit(engine)
    finish(engine)
    with UnitOfWork(engine) as work:
        work.session.execute(update(Evaluation).values(weights=None))
        work.commit()
    detail = weights_of(api, search, members(api, search)[True][0]["id"]).json()["detail"]
    assert "made for a search whose front it had left" in detail


def test_a_worker_records_weights_that_give_the_reported_accuracy(
    engine: Engine, api: TestClient, settings: Settings
) -> None:
    search = submit(
        engine,
        space={"qubits": 2, "layers": [1, 2], "learning_rate": 0.1},
        training={"epochs": 3, "replicates": 2},
        algorithm={"population": 4, "generations": 1},
    )
    advance_all(engine)
    with UnitOfWork(engine) as work:
        ids = list(work.session.scalars(select(Evaluation.id)))
    Attempts(engine, settings, worker="w").run(ids)
    advance_all(engine)
    assert api.get(f"/v1/searches/{search}").json()["state"] == SearchState.FINISHED
    for member in members(api, search)[True]:
        found = from_safetensors(weights_of(api, search, member["id"]).content)
        assert found.genome.digest == member["digest"]
        networks = HybridNetworks((found.architecture,) * 2, _batched())
        data = side_by_side([load(found.protocol.dataset)])
        again = predict(networks, networks.together(found.replicates), data.validation_x, data.validation_y)
        measured = member["metrics"]["validation_accuracy"]["value"]
        assert sum(one.accuracy for one in again) / 2 == measured
        detail = api.get(f"/v1/candidates/{member['id']}").json()["evaluation"]
        assert detail["training"]["epochs_run"] == [3, 3]
        assert detail["data"]["reduction"] == "classical layers: 4 to 2"


def _batched() -> Any:
    from nas.engines import make_engine

    return make_engine("batched")


def test_a_candidate_that_another_search_proposes_meanwhile_keeps_its_weights(engine: Engine) -> None:
    submit(engine)
    finish(engine)
    with UnitOfWork(engine) as work:
        loser = work.session.scalars(select(Candidate).where(~Candidate.on_front).limit(1)).one()
        row = work.session.get_one(Evaluation, loser.evaluation_id)
        other = Search(team_id=DEFAULT_TEAM_ID, name="other", spec=parse_spec(SPEC).model_dump(mode="json"))
        work.session.add(other)
        work.session.execute(update(Evaluation).where(Evaluation.id == row.id).values(weights=b"fitted"))
        work.commit()
    with UnitOfWork(engine) as proposing, UnitOfWork(engine) as dropping:
        assert _wanted_again(proposing, other, row) == (row.id, True)
        dropping.session.execute(text("SET LOCAL lock_timeout = '5s'"))  # an error for what would wait for ever
        assert dropping.weights.drop([loser.id]) == 0
        dropping.commit()
        proposal = {"genome": row.genome, "digest": row.genome_digest, "evaluation_id": row.id, "is_cached": True}
        proposing.candidates.propose(proposing.session.get_one(Search, other.id), 0, [proposal])
        proposing.commit()
    with UnitOfWork(engine) as work:
        assert work.weights.get(row.id) == b"fitted"


def _wanted_again(work: UnitOfWork, search: Search, row: Evaluation) -> tuple[uuid.UUID, bool]:
    return work.evaluations.want(
        search,
        genome=row.genome,
        genome_digest=row.genome_digest,
        protocol=row.protocol,
        protocol_digest=row.protocol_digest,
        device=row.device,
        engine=str(row.engine),
        qubits=row.qubits or 0,
        priority=0,
    )
