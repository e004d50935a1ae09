"""Confirmations over a real database: asked for, dispatched, told, tested and counted."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from made_up import confirmed
from sqlalchemy import Engine, select, text, update
from starlette.testclient import TestClient

from api.app import create_app
from config.settings import Settings
from models import Candidate, Confirmation, ConfirmationMember, Evaluation, Search, UnitOfWork
from models.states import CandidateState, EvaluationState, SearchState
from models.tables import DEFAULT_TEAM_ID, Team
from nas.confirmation.trial import confirm
from nas.space import Genome, SearchSpace
from nas.spec import Protocol, parse_spec
from nas.spec.confirmation import ConfirmationProtocol
from worker import confirm as confirm_step
from worker import controller
from worker.attempt import Attempts
from worker.bundles import form_bundles
from worker.controller import confirm_one
from worker.sweep import sweep

SPEC: dict[str, Any] = {
    "name": "iris",
    "dataset": {"name": "iris"},
    "space": {"qubits": 2, "layers": [1, 2, 3, 4], "topology": "linear", "learning_rate": 0.1},
    "training": {"epochs": 2, "batch_size": 90},
    "objectives": [{"metric": "validation_accuracy"}, {"metric": "two_qubit_gates"}],
    "engine": "batched",
}
UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def api(engine: Engine, settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def add_search(engine: Engine, *, n_front: int = 2, team_id: uuid.UUID = DEFAULT_TEAM_ID, **changes: Any) -> Search:
    """Puts a search there that has ended with four candidates, the first of them on the front."""
    state = changes.pop("state", SearchState.FINISHED)
    spec = parse_spec({**SPEC, **changes})
    space, protocol = SearchSpace.from_spec(spec), Protocol.from_spec(spec)
    with UnitOfWork(engine) as work:
        search = Search(team_id=team_id, name=spec.name, spec=spec.model_dump(mode="json"), state=state)
        search.engines = {"2": "batched"}
        work.session.add(search)
        work.session.flush()
        for index in range(4):
            genome = space.decode({"layers": index})
            evaluation_id, _ = work.evaluations.want(search, **wanted(genome, protocol))
            work.session.add(
                Candidate(
                    search_id=search.id,
                    evaluation_id=evaluation_id,
                    generation=0,
                    index=index,
                    genome=genome.to_json(),
                    digest=genome.digest,
                    state=CandidateState.FAILED if index == 3 else CandidateState.EVALUATED,
                    objectives=None if index == 3 else [0.9, float(index)],
                    violation=0.0,
                    on_front=index < n_front,
                )
            )
        work.session.execute(
            update(Evaluation)
            .where(Evaluation.state == EvaluationState.PENDING)
            .values(state=EvaluationState.SUCCEEDED, result={"metrics": {}})
        )
        work.commit()
        return search


def wanted(genome: Genome, protocol: Protocol | ConfirmationProtocol) -> dict[str, Any]:
    return {
        "genome": genome.to_json(),
        "genome_digest": genome.digest,
        "protocol": protocol.to_json(),
        "protocol_digest": protocol.digest,
        "device": "cpu",
        "engine": protocol.engine,
        "qubits": genome.qubits,
        "priority": 0,
    }


def path_of(search: Search) -> str:
    return f"/v1/searches/{search.id}/confirmation"


def ask(api: TestClient, search: Search, *, key: str | None = None, **request: Any) -> dict[str, Any]:
    answer = api.post(path_of(search), json=request, headers={"Idempotency-Key": key} if key else {})
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    return document


def candidate_ids(engine: Engine, search: Search) -> list[str]:
    with UnitOfWork(engine) as work:
        statement = select(Candidate.id).where(Candidate.search_id == search.id).order_by(Candidate.index)
        return [str(one) for one in work.session.scalars(statement)]


def advance_all(engine: Engine) -> None:
    while confirm_one(engine):
        pass


def pending(engine: Engine) -> list[Evaluation]:
    with UnitOfWork(engine) as work:
        statement = select(Evaluation).where(Evaluation.state == EvaluationState.PENDING)
        return list(work.session.scalars(statement.order_by(Evaluation.sequence)))


#: Of the seeds of each arm, so that differences scatter.
ORDERS = [(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1)]


def result_of(accuracies: dict[str, float]) -> dict[str, Any]:
    """Returns a made-up result whose arms have these accuracies, spread a little over three seeds."""
    pairs = zip(ORDERS, accuracies.items(), strict=True)
    return confirmed({arm: [mean + 0.001 * place for place in order] for order, (arm, mean) in pairs})


RESULT = result_of({"candidate": 0.9, "frozen_circuit": 0.6, "no_entanglement": 0.9, "classical_net": 0.95})


def work_off(engine: Engine, *, failing: int = 0) -> int:
    """Plays the workers: settles what is pending, the first of them as failures; returns how many."""
    found = pending(engine)
    with UnitOfWork(engine) as work:
        for number, one in enumerate(found):
            (claim,) = work.evaluations.claim([one.id], worker="w", lease_s=60)
            if number < failing:
                work.evaluations.fail(claim, {"class": "Broken", "message": "it broke", "traceback": "…"})
            else:
                work.evaluations.succeed(claim, RESULT)
        work.commit()
    return len(found)


def run(engine: Engine, **options: Any) -> None:
    advance_all(engine)
    while work_off(engine, **options):
        advance_all(engine)


def read(api: TestClient, search: Search, **query: Any) -> dict[str, Any]:
    answer = api.get(path_of(search), params=query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_a_confirmation_is_queued_and_found_at_its_location(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    answer = api.post(path_of(search))
    found = api.get(answer.headers["location"]).json()
    assert (answer.status_code, found["state"], found["number"]) == (202, "queued", 1)
    assert (len(found["seeds"]), found["epochs"], len(found["members"])) == (5, 2, 2)


def test_it_goes_from_asked_to_measured_to_tested(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search, seeds=3)
    run(engine)
    found = read(api, search)
    assert (found["state"], found["reason"]) == ("finished", "all of its members are measured")
    assert found["progress"] == {"members": 2, "measured": 2, "failed": 0, "waiting": 0}
    assert found["tests"]["n_tests"] == 6
    member = found["members"][0]
    assert list(member["arms"]) == ["candidate", "frozen_circuit", "no_entanglement", "classical_net"]
    assert [one["verdict"] for one in member["comparisons"]] == ["better", "no better", "worse"]
    assert "no better than itself without entanglement, p = " in member["sentence"]


def test_each_member_is_one_evaluation_under_a_protocol_of_its_own_kind(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search, seeds=4, epochs=7)
    advance_all(engine)
    protocols = [one.protocol for one in pending(engine)]
    assert [(one["kind"], one["seeds"], one["training"]["epochs"]) for one in protocols] == [("confirmation", 4, 7)] * 2


def test_members_may_be_named_in_any_order_and_off_the_front(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ids = candidate_ids(engine, search)
    ask(api, search, members=[ids[2], ids[0]])
    assert [one["candidate_id"] for one in read(api, search)["members"]] == [ids[2], ids[0]]


REFUSALS = [
    ({"seeds": 2}, "seeds", "greater than or equal to 3"),
    ({"seeds": 1_000}, "seeds", "less than or equal to 100"),
    ({"seeds": "5"}, "seeds", "valid integer"),
    ({"epochs": 1}, "epochs", "below the 2 of the search"),
    ({"members": []}, "members", "is empty"),
    ({"members": ["latest"]}, "members.0", "valid UUID"),
    ({"members": [UNKNOWN, UNKNOWN]}, "members", "stands twice"),
    ({"sedes": 5}, "sedes", "unknown key 'sedes'"),
]


@pytest.mark.parametrize(("request_", "at", "says"), REFUSALS, ids=[str(one[0]) for one in REFUSALS])
def test_a_bad_value_is_refused_with_its_path_and_counts_nothing(
    api: TestClient, engine: Engine, request_: dict[str, Any], at: str, says: str
) -> None:
    search = add_search(engine)
    problem = api.post(path_of(search), json=request_).json()
    assert (problem["status"], problem["errors"][0]["path"]) == (422, at)
    assert says in problem["detail"]
    assert api.get(path_of(search)).status_code == 404


def test_a_candidate_that_was_never_evaluated_is_refused(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    failed = candidate_ids(engine, search)[3]
    problem = api.post(path_of(search), json={"members": [failed]}).json()
    assert (problem["errors"][0]["path"], "is failed" in problem["detail"]) == ("members.0", True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"state": SearchState.RUNNING}, "is running, and its front may still change"),
        ({"state": SearchState.QUEUED}, "is queued"),
        ({"objectives": [{"metric": "expressibility"}]}, "trained nothing"),
        ({"n_front": 0}, "is empty, so there is nothing to confirm"),
    ],
)
def test_a_search_that_cannot_be_confirmed_says_why(
    api: TestClient, engine: Engine, changes: dict[str, Any], says: str
) -> None:
    answer = api.post(path_of(add_search(engine, **changes)))
    assert answer.status_code == 409
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("state", [SearchState.CANCELLED, SearchState.FAILED])
def test_a_search_that_ended_early_can_be_confirmed(api: TestClient, engine: Engine, state: str) -> None:
    assert ask(api, add_search(engine, state=state))["number"] == 1


def test_unknown_ids_are_404(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    assert api.post(f"/v1/searches/{UNKNOWN}/confirmation").status_code == 404
    assert api.get(path_of(search)).status_code == 404
    assert api.get(path_of(search), params={"number": 2}).status_code == 404
    assert api.post(f"{path_of(search)}/cancel").status_code == 404
    answer = api.post(path_of(search), json={"members": [UNKNOWN]})
    assert (answer.status_code, UNKNOWN in answer.json()["detail"]) == (404, True)


def test_a_candidate_of_another_search_is_404(api: TestClient, engine: Engine) -> None:
    search, other = add_search(engine), add_search(engine)
    assert api.post(path_of(search), json={"members": candidate_ids(engine, other)[:1]}).status_code == 404


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("POST", ""), ("POST", "/cancel")])
def test_another_teams_confirmation_is_404(api: TestClient, engine: Engine, method: str, rest: str) -> None:
    with UnitOfWork(engine) as work:
        team = Team(name="others")
        work.session.add(team)
        work.commit()
    search = add_search(engine, team_id=team.id)
    with UnitOfWork(engine) as work:
        members = [candidate.id for candidate in work.candidates.front(search.id)]
        work.confirmations.add(search, members, request={}, n_seeds=5, epochs=2, idempotency_key=None)
        work.commit()
    assert api.request(method, path_of(search) + rest).status_code == 404


def test_the_same_idempotency_key_confirms_once(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    first, second = ask(api, search, key="a"), ask(api, search, key="a")
    assert first["id"] == second["id"]
    answer = api.post(path_of(search), json={"seeds": 9}, headers={"Idempotency-Key": "a"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:hqnas:problem:idempotency-key-reused")


def test_a_key_of_an_ended_confirmation_still_answers_with_it(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search, key="a")
    run(engine)
    assert ask(api, search, key="a")["state"] == "finished"


def test_a_second_one_at_a_time_is_refused(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search)
    answer = api.post(path_of(search))
    assert (answer.status_code, "is being confirmed already" in answer.json()["detail"]) == (409, True)


def test_a_second_confirmation_says_that_it_is_the_second(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    assert not any("This is the" in note for note in ask(api, search)["notes"])
    run(engine)
    second = ask(api, search)
    assert (second["number"], second["earlier_on_data"]) == (2, 1)
    assert second["notes"][0].startswith("This is the second confirmation of this search")


def test_the_first_confirmation_stays_readable_by_its_number(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search, seeds=3)
    run(engine)
    ask(api, search, seeds=4)
    assert (len(read(api, search)["seeds"]), len(read(api, search, number=1)["seeds"])) == (4, 3)


def test_looks_at_the_same_data_by_other_searches_are_counted(api: TestClient, engine: Engine) -> None:
    first, second, of_other_data = add_search(engine), add_search(engine), add_search(engine, dataset={"name": "wine"})
    ask(api, first)
    assert any("opened once before for other searches" in note for note in ask(api, second)["notes"])
    assert ask(api, of_other_data)["earlier_on_data"] == 0


SAME_ROWS = [
    {"name": "synthetic-binary", "samples": 400, "features": 4},
    {"name": "synthetic-binary", "reduce": {"pca": 2}},
]


@pytest.mark.parametrize("dataset", SAME_ROWS)
def test_looks_at_the_same_rows_are_counted_however_they_are_spelled_or_reduced(
    api: TestClient, engine: Engine, dataset: dict[str, Any]
) -> None:
    first, second = (add_search(engine, dataset=one) for one in ({"name": "synthetic-binary"}, dataset))
    ask(api, first)
    assert ask(api, second)["earlier_on_data"] == 1


def test_looks_at_data_stored_before_they_could_be_reduced_are_counted(api: TestClient, engine: Engine) -> None:
    first, second = add_search(engine), add_search(engine)
    with UnitOfWork(engine) as work:
        stored = work.session.get_one(Search, first.id)
        stored.spec = {**stored.spec, "dataset": {"name": "iris", "samples": None, "features": None}}
        work.commit()
    ask(api, first)
    assert ask(api, second)["earlier_on_data"] == 1


def test_the_same_members_and_seeds_again_are_answered_from_what_is_known(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search)
    run(engine)
    first = read(api, search)
    ask(api, search)
    advance_all(engine)
    second = read(api, search)
    assert second["state"] == "finished"
    assert [one["sentence"] for one in second["members"]] == [one["sentence"] for one in first["members"]]


def test_an_unchanged_confirmation_answers_304_and_a_changed_one_does_not(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search)
    etag = api.get(path_of(search)).headers["etag"]
    assert api.get(path_of(search), headers={"If-None-Match": etag}).status_code == 304
    run(engine)
    assert api.get(path_of(search), headers={"If-None-Match": etag}).status_code == 200


def test_a_member_that_cannot_be_measured_fails_alone(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search)
    run(engine, failing=1)
    found = read(api, search)
    assert (found["state"], found["reason"]) == ("finished", "1 of its 2 members could not be measured")
    failed, measured = found["members"]
    assert (failed["state"], failed["error"]["message"], failed["sentence"]) == ("failed", "it broke", None)
    assert (measured["state"], len(measured["comparisons"]), found["tests"]["n_tests"]) == ("evaluated", 3, 3)


def test_a_confirmation_of_which_nothing_can_be_measured_fails_with_the_reason(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search)
    run(engine, failing=2)
    found = read(api, search)
    assert found["state"] == "failed"
    assert found["reason"] == "none of its 2 members could be measured; the last said: it broke"


def test_a_cancelled_confirmation_starts_nothing_more_and_keeps_what_is_there(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search)
    advance_all(engine)
    first, _ = pending(engine)
    with UnitOfWork(engine) as work:
        (claim,) = work.evaluations.claim([first.id], worker="w", lease_s=60)
        work.evaluations.succeed(claim, RESULT)
        work.commit()
    advance_all(engine)
    found = api.post(f"{path_of(search)}/cancel").json()
    assert (found["state"], [one["state"] for one in found["members"]]) == ("cancelled", ["evaluated", "cancelled"])
    assert pending(engine) == []
    assert not confirm_one(engine)


def test_cancelling_leaves_what_another_confirmation_waits_for(api: TestClient, engine: Engine) -> None:
    first, second = add_search(engine), add_search(engine)
    ask(api, first)
    ask(api, second)
    advance_all(engine)
    api.post(f"{path_of(first)}/cancel")
    assert len(pending(engine)) == 2
    api.post(f"{path_of(second)}/cancel")
    assert pending(engine) == []


def test_what_a_confirmation_waits_for_is_put_back_when_it_was_given_up(
    api: TestClient, engine: Engine, settings: Settings
) -> None:
    ask(api, add_search(engine))
    advance_all(engine)
    with UnitOfWork(engine) as work:
        work.session.execute(
            update(Evaluation)
            .where(Evaluation.state == EvaluationState.PENDING)
            .values(state=EvaluationState.CANCELLED)
        )
        work.commit()
    assert sweep(engine, settings) == 2
    assert len(pending(engine)) == 2


def test_confirmations_travel_alone(api: TestClient, engine: Engine) -> None:
    ask(api, add_search(engine))
    advance_all(engine)
    with UnitOfWork(engine) as work:
        found, n_pending = work.queue.pending("cpu", 10, sizes={("batched", 2): 8})
    bundles = form_bundles(found, room=10, n_pending=n_pending, n_slots=1)
    assert [len(bundle) for bundle in bundles] == [1, 1]


def test_a_told_member_is_not_told_again(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search)
    run(engine)
    before = read(api, search)
    with UnitOfWork(engine) as work:
        work.session.execute(update(Evaluation).values(result={"metrics": {}}))
        work.commit()
    advance_all(engine)
    assert read(api, search) == before


def test_a_result_told_twice_counts_once(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search)
    advance_all(engine)
    with UnitOfWork(engine) as work:
        confirmation = work.confirmations.get(search.id)
        assert confirmation is not None
        for error in ("first", "second"):
            work.confirmations.tell(confirmation, 0, result=None, error={"message": error})
        (first, _), _ = work.confirmations.members(confirmation.id)
        assert (confirmation.n_settled, confirmation.n_failed, first.error) == (1, 1, {"message": "first"})


def test_a_step_rolled_back_and_repeated_counts_each_result_once(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search)
    advance_all(engine)
    work_off(engine)
    with UnitOfWork(engine) as work:
        taken = work.confirmations.take_movable()
        assert taken is not None
        controller.advance_confirmation(work, *taken)  # and no commit
    advance_all(engine)
    found = read(api, search)
    assert (found["state"], found["progress"]["measured"]) == ("finished", 2)


def test_a_confirmation_that_another_controller_advances_is_skipped(api: TestClient, engine: Engine) -> None:
    ask(api, add_search(engine))
    with UnitOfWork(engine) as one, UnitOfWork(engine) as other:
        assert one.confirmations.take_movable() is not None
        assert other.confirmations.take_movable() is None


def breaking(monkeypatch: pytest.MonkeyPatch, broken: Search, fault: Callable[[UnitOfWork], None]) -> None:
    """Lets the steps of the confirmation of one search begin with a fault."""
    genuine = controller.advance_confirmation

    def advance(work: UnitOfWork, confirmation: Confirmation, search: Search) -> None:
        if search.id == broken.id:
            fault(work)
        genuine(work, confirmation, search)

    monkeypatch.setattr(controller, "advance_confirmation", advance)


def test_a_step_that_takes_the_database_too_long_lets_the_others_go_first(
    api: TestClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, other = add_search(engine), add_search(engine)
    ask(api, slow)
    ask(api, other)

    def sleep(work: UnitOfWork) -> None:
        work.session.execute(text("SET LOCAL statement_timeout = '10ms'"))
        work.session.execute(text("SELECT pg_sleep(100)"))

    breaking(monkeypatch, slow, sleep)
    assert not confirm_one(engine)
    assert confirm_one(engine)
    assert (read(api, slow)["state"], read(api, other)["state"]) == ("queued", "running")


def test_the_report_may_take_minutes(api: TestClient, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    search = add_search(engine)
    ask(api, search)
    genuine, last = confirm_step.report, []

    def report(results: list[Any]) -> dict[str, Any]:
        with engine.connect() as other:
            idle = "SELECT query FROM pg_stat_activity WHERE state = 'idle in transaction'"
            last.extend(other.scalars(text(idle)))
        return genuine(results)

    monkeypatch.setattr(confirm_step, "report", report)
    run(engine)
    assert [one for one in last if one == "SET LOCAL idle_in_transaction_session_timeout = '600s'"]
    assert read(api, search)["state"] == "finished"


def test_a_confirmation_that_cannot_be_advanced_fails_and_the_others_go_on(
    api: TestClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = add_search(engine), add_search(engine)
    ask(api, broken)
    ask(api, sound)

    def fail(_: UnitOfWork) -> None:
        raise ZeroDivisionError

    breaking(monkeypatch, broken, fail)
    advance_all(engine)
    assert (read(api, broken)["state"], read(api, sound)["state"]) == ("failed", "running")


def test_a_running_confirmation_without_workers_says_what_to_do(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    assert "hqnas worker" in ask(api, search)["notice"]


def test_members_go_with_their_search(api: TestClient, engine: Engine) -> None:
    search = add_search(engine)
    ask(api, search)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM searches WHERE id = :id"), {"id": search.id})
    with UnitOfWork(engine) as work:
        assert list(work.session.scalars(select(ConfirmationMember.index))) == []


def test_a_worker_measures_a_member_as_it_is_measured_alone(
    api: TestClient, engine: Engine, settings: Settings
) -> None:
    search = add_search(engine)
    ask(api, search, seeds=3)
    advance_all(engine)
    asked = pending(engine)
    Attempts(engine, settings, worker="w").run([one.id for one in asked])
    advance_all(engine)
    found = read(api, search)
    assert found["state"] == "finished"
    for member, one in zip(found["members"], asked, strict=True):
        alone = confirm(Genome.from_json(one.genome), ConfirmationProtocol.model_validate(one.protocol))
        assert not isinstance(alone, Exception)
        expected = alone.to_json()
        assert {arm: about["trials"] for arm, about in member["arms"].items()} == {
            arm: about["trials"] for arm, about in expected["arms"].items()
        }
        assert found["rows"] == expected["rows"] == {"train": 90, "validation": 30, "test": 30}


def test_a_lost_worker_leaves_the_same_result_to_the_next(api: TestClient, engine: Engine, settings: Settings) -> None:
    search = add_search(engine, n_front=1)
    ask(api, search, seeds=3)
    advance_all(engine)
    (one,) = pending(engine)
    with UnitOfWork(engine) as work:
        (lost,) = work.evaluations.claim([one.id], worker="gone", lease_s=-1)
        work.commit()
    assert sweep(engine, settings) == 1
    Attempts(engine, settings, worker="w").run([one.id])
    with UnitOfWork(engine) as work:
        assert not work.evaluations.succeed(lost, RESULT)  # the vanished one comes back, too late
        work.commit()
    advance_all(engine)
    found = read(api, search)
    assert found["members"][0]["arms"]["candidate"]["trials"] != RESULT["arms"]["candidate"]["trials"]
    assert found["state"] == "finished"
