"""The API over a real database: what it accepts, what it refuses, and in which words."""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from calibrations import calibration
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from api.app import create_app
from api.dependencies import encode_cursor
from config.settings import Settings
from models import UnitOfWork
from models.tables import Search, Team

SPEC: dict[str, Any] = {
    "name": "wine",
    "dataset": {"name": "wine"},
    "space": {"qubits": {"min": 2, "max": 3}, "layers": [1, 2], "topology": ["none", "linear"]},
    "objectives": [{"metric": "validation_accuracy"}, {"metric": "two_qubit_gates"}],
    "algorithm": {"population": 4, "generations": 2},
}
UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def api(engine: Engine, settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def submit(api: TestClient, **headers: str) -> dict[str, Any]:
    answer = api.post("/v1/searches", json=SPEC, headers=headers)
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    return document


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(SPEC)
    *parents, last = path.split(".")
    place: Any = document
    for key in parents:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[int(key)]
    place[last] = value
    return document


def test_a_submitted_search_is_queued_and_found_at_its_location(api: TestClient) -> None:
    answer = api.post("/v1/searches", json=SPEC)
    found = api.get(answer.headers["location"])
    assert (found.status_code, found.json()["state"]) == (200, "queued")


def test_the_stored_spec_has_its_defaults_filled_in(api: TestClient) -> None:
    assert submit(api)["spec"]["training"]["epochs"] == 20


REFUSALS = [
    ("colour", "red", "colour", "unknown key 'colour'"),
    ("space.qbits", 2, "space.qbits", "did you mean 'qubits'?"),
    ("space.topology", [], "space.topology", "is empty"),
    ("space.qubits", {"min": 5, "max": 2}, "space.qubits", "min 5 is above max 2"),
    ("space.qubits", {"min": 2, "max": 40}, "space.qubits", "holds at most 24 qubits"),
    ("space.qubits", "4", "space.qubits", "valid integer"),
    ("space.qubits", True, "space.qubits", "valid integer"),
    ("space.layers", 0, "space.layers", "greater than or equal to 1"),
    ("space.layers", {"min": 1}, "space.layers.max", "is required"),
    ("space.layers", 65, "space.layers", "at most 64 layers"),
    ("space.encoding", ["angle-w"], "space.encoding.0", "'angle-x'"),
    ("space.rotations", [["ry"], ["ry"]], "space.rotations", "stands twice"),
    ("space.learning_rate", {"min": 0, "max": 1, "log": True}, "space.learning_rate", "above 0"),
    ("space.per_layer", ["qubits"], "space.per_layer.0", "'rotations'"),
    ("space.template", "sim-20", "space.template", "'sim-19'"),
    ("space.forbid", [{"colour": "red"}], "space.forbid.0.colour", "unknown key 'colour'"),
    ("space.forbid", [{"encoding": "angle-w"}], "space.forbid.0.encoding", "'angle-x'"),
    ("space.forbid", [{"layers": 1}, {"qubits": 9}], "space.forbid.1.qubits", "never 9 in this space; it takes 2, 3"),
    ("space.forbid", [{}], "space.forbid.0", "would forbid every architecture"),
    ("space.forbid", [{"encoding": "angle-y"}], "space.forbid.0", "forbids every architecture"),
    ("objectives", [], "objectives", "is empty"),
    ("objectives", [{"metric": "speed"}], "objectives.0.metric", "there is no metric 'speed'"),
    ("objectives", [{"metric": "flops"}, {"metric": "flops"}], "objectives.1.metric", "already"),
    ("constraints", [{"metric": "gates"}], "constraints.0", "at_most"),
    ("constraints", [{"metric": "gates", "at_most": 1, "at_least": 2}], "constraints.0", "nothing can satisfy"),
    ("dataset.name", "mnist", "dataset.name", "there is no data set 'mnist'"),
    ("dataset.samples", 100, "dataset", "fixed number of samples"),
    ("training.mode", "classical", "training.mode", "'full-hybrid'"),
    ("metrics.gradient_variance.samples", 10, "metrics.gradient_variance.samples", "200"),
    ("budget.evaluations", 0, "budget.evaluations", "greater than or equal to 1"),
    ("budget.wall_time", "soon", "budget.wall_time", "no duration"),
    ("algorithm.population", 10**9, "algorithm.population", "less than or equal to"),
    ("engine", "qulacs", "engine", "'default.qubit'"),
    ("engine", "lightning.gpu", "device", "needs 'device: gpu'"),
    ("name", "", "name", "at least 1 character"),
    ("name", "a\0b", "name", "control characters"),
    ("name", " a", "name", "spaces around"),
    ("budget.wall_time", "99999999d", "budget.wall_time", "less than or equal to"),
    ("budget.wall_time", 1e308, "budget.wall_time", "less than or equal to"),
    ("budget.wall_time", True, "budget.wall_time", "true or false"),
]


@pytest.mark.parametrize(("path", "value", "at", "says"), REFUSALS, ids=[f"{r[0]}={r[1]}" for r in REFUSALS])
def test_a_bad_value_is_refused_with_its_path_and_no_row(
    api: TestClient, path: str, value: Any, at: str, says: str
) -> None:
    answer = api.post("/v1/searches", json=changed(path, value))
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert at in [error["path"] for error in problem["errors"]]
    assert says in problem["detail"]
    assert api.get("/v1/searches").json()["items"] == []


def test_a_pure_circuit_with_classical_layers_is_refused(api: TestClient) -> None:
    document = changed("training.mode", "pure-quantum")
    document["space"]["pre_layers"] = [[], [8]]
    assert api.post("/v1/searches", json=document).json()["errors"][0]["path"] == "space.pre_layers"


def test_layers_too_wide_for_the_gradients_of_an_evaluation_are_refused(api: TestClient) -> None:
    document = changed("space.pre_layers", [[1024, 1024]])
    document["objectives"] = [{"metric": "gradient_variance"}]
    problem = api.post("/v1/searches", json=document).json()["errors"][0]
    assert (problem["path"], "narrower layers" in problem["message"]) == ("space.pre_layers", True)


def test_circuits_too_large_for_a_gradient_are_refused(api: TestClient) -> None:
    document = changed("space.layers", 64) | {"engine": "default.qubit"}
    document["space"] |= {"qubits": 16, "topology": "full"}
    problem = api.post("/v1/searches", json=document).json()["errors"][0]
    assert (problem["path"], "lightning.qubit" in problem["message"]) == ("space.layers", True)


def test_thousands_of_unknown_keys_are_told_in_part(api: TestClient) -> None:
    document = {**SPEC, **{f"key{i}": i for i in range(5_000)}}
    errors = api.post("/v1/searches", json=document).json()["errors"]
    assert len(errors) == 51
    assert errors[-1]["message"] == "and 4950 more problems; mend these first"


def test_a_long_key_is_told_in_part(api: TestClient) -> None:
    assert len(api.post("/v1/searches", json={**SPEC, "k" * 100_000: 1}).text) < 2_000


def test_all_problems_are_told_at_once(api: TestClient) -> None:
    document = changed("space.qbits", 2)
    document["budget"] = {"evaluations": 0}
    paths = {error["path"] for error in api.post("/v1/searches", json=document).json()["errors"]}
    assert paths == {"space.qbits", "budget.evaluations"}


@pytest.mark.parametrize("body", ["{", "", '{"name": NaN}', "[]", "null", "12"])
def test_a_body_that_is_no_spec_is_a_problem_and_no_crash(api: TestClient, body: str) -> None:
    answer = api.post("/v1/searches", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is empty; send a JSON document"),
        (b"\xff\xfe{", "the body is not JSON that can be read: it is not UTF-8, or nested too deeply"),
        (b"[" * 100_000, "the body is not JSON that can be read: it is not UTF-8, or nested too deeply"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_why(api: TestClient, body: bytes, detail: str) -> None:
    answer = api.post("/v1/searches", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["title"], answer.json()["detail"]) == (400, "Not JSON", detail)


def test_a_body_that_is_not_announced_as_json_names_the_header(api: TestClient) -> None:
    answer = api.post("/v1/searches", content=b'{"name": "x"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["detail"]


def test_a_body_above_the_limit_is_refused_unread(api: TestClient) -> None:
    answer = api.post("/v1/searches", content=b" " * (2 << 20), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:hqnas:problem:too-large")


def test_a_body_without_length_above_the_limit_is_refused(api: TestClient) -> None:
    answer = api.post("/v1/searches", content=(b" " * 65_536 for _ in range(20)))
    assert answer.status_code == 413


def test_the_same_idempotency_key_submits_once(api: TestClient) -> None:
    first, second = submit(api, **{"Idempotency-Key": "a"}), submit(api, **{"Idempotency-Key": "a"})
    assert first["id"] == second["id"]
    assert len(api.get("/v1/searches").json()["items"]) == 1


def test_an_idempotency_key_with_another_spec_is_refused(api: TestClient) -> None:
    submit(api, **{"Idempotency-Key": "a"})
    answer = api.post("/v1/searches", json=changed("name", "other"), headers={"Idempotency-Key": "a"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:hqnas:problem:idempotency-key-reused")


def test_the_list_pages_through_all_searches_newest_first(api: TestClient) -> None:
    ids = [submit(api)["id"] for _ in range(5)]
    found, cursor = [], None
    while True:
        page = api.get("/v1/searches", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == ids[::-1]


def test_the_list_can_be_narrowed_to_a_state(api: TestClient) -> None:
    cancelled = submit(api)["id"]
    submit(api)
    api.post(f"/v1/searches/{cancelled}/cancel")
    items = api.get("/v1/searches", params={"state": "cancelled"}).json()["items"]
    assert [item["id"] for item in items] == [cancelled]


@pytest.mark.parametrize("cursor", ["x", "!!", "AAAA", "w6TDtsO8", encode_cursor(f"{2**31}.0"), encode_cursor("0.-1")])
@pytest.mark.parametrize("path", ["/v1/searches", "/v1/searches/{id}/candidates"])
def test_a_made_up_cursor_is_refused(api: TestClient, path: str, cursor: str) -> None:
    answer = api.get(path.format(id=submit(api)["id"]), params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "cursor")


@pytest.mark.parametrize("limit", [0, 501, "many"])
def test_a_limit_out_of_bounds_is_refused(api: TestClient, limit: Any) -> None:
    assert api.get("/v1/searches", params={"limit": limit}).status_code == 422


def test_an_unchanged_search_answers_304_and_a_changed_one_does_not(api: TestClient) -> None:
    path = f"/v1/searches/{submit(api)['id']}"
    etag = api.get(path).headers["etag"]
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 304
    api.post(f"{path}/cancel")
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_a_cancel_that_a_busy_controller_holds_up_answers_503(api: TestClient, engine: Engine) -> None:
    search_id = submit(api)["id"]
    with UnitOfWork(engine) as busy:
        assert busy.searches.take_movable(worker_timeout_s=30.0) is not None
        answer = api.post(f"/v1/searches/{search_id}/cancel")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_a_new_front_is_empty_and_has_an_etag(api: TestClient) -> None:
    path = f"/v1/searches/{submit(api)['id']}/front"
    answer = api.get(path)
    assert (answer.json()["items"], answer.json()["objectives"][0]["goal"]) == ([], "maximize")
    assert api.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_a_cancelled_search_stays_cancelled(api: TestClient) -> None:
    path = f"/v1/searches/{submit(api)['id']}"
    assert api.post(f"{path}/cancel").json()["state"] == "cancelled"
    assert api.post(f"{path}/cancel").json()["reason"] == "cancelled on request"


ROUTES: list[tuple[str, str]] = [
    ("GET", "/v1/searches/{}"),
    ("GET", "/v1/searches/{}/front"),
    ("GET", "/v1/searches/{}/candidates"),
    ("GET", "/v1/searches/{}/generations"),
    ("POST", "/v1/searches/{}/cancel"),
    ("GET", "/v1/candidates/{}"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_an_unknown_id_is_404_and_names_it(api: TestClient, method: str, path: str) -> None:
    answer = api.request(method, path.format(UNKNOWN))
    assert answer.status_code == 404
    assert UNKNOWN in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_an_id_that_is_none_is_refused(api: TestClient, method: str, path: str) -> None:
    assert api.request(method, path.format("latest")).status_code == 422


@pytest.mark.parametrize(("method", "path"), ROUTES[:5])
def test_another_teams_search_is_404(api: TestClient, work: UnitOfWork, method: str, path: str) -> None:
    with work:
        team = Team(name="others")
        work.session.add(team)
        work.session.flush()
        search, _ = work.searches.submit(team.id, name="theirs", spec=SPEC, idempotency_key=None)
        work.commit()
    assert api.request(method, path.format(search.id)).status_code == 404


def test_an_unknown_path_is_a_problem_document(api: TestClient) -> None:
    answer = api.get("/v2/searches")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_wrong_method_is_a_problem_document(api: TestClient) -> None:
    answer = api.delete("/v1/searches")
    assert (answer.status_code, answer.json()["status"]) == (405, 405)


def readiness(api: TestClient) -> tuple[str, str]:
    answer = api.get("/ready")
    assert answer.status_code == 200
    return answer.json()["status"], " ".join(answer.json()["problems"])


def beat(work: UnitOfWork, name: str, *, broker_error: str | None = None) -> None:
    with work:
        work.controllers.beat(name, broker_error=broker_error)
        work.commit()


def add_worker(work: UnitOfWork) -> None:
    with work:
        work.workers.register("w", device="cpu", n_slots=2, hardware={}, versions={})
        work.commit()


def test_readiness_is_degraded_until_a_worker_and_a_controller_live(api: TestClient, work: UnitOfWork) -> None:
    status, problems = readiness(api)
    assert (status, api.get("/ready").json()["broker"]) == ("degraded", None)
    assert "no worker lives" in problems
    assert "no controller lives" in problems
    add_worker(work)
    beat(work, "c")
    assert api.get("/ready").json() == {
        "status": "ready",
        "problems": [],
        "database": True,
        "schema_is_current": True,
        "broker": True,
        "controllers": 1,
        "slots": {"cpu": 2},
    }


def test_readiness_is_degraded_while_no_controller_reaches_the_broker(api: TestClient, work: UnitOfWork) -> None:
    add_worker(work)
    beat(work, "a", broker_error="Connection refused")
    status, problems = readiness(api)
    assert status == "degraded"
    assert "no controller reaches the broker since " in problems
    assert problems.endswith("UTC: Connection refused")
    beat(work, "b")
    assert readiness(api) == ("ready", "")


def test_a_broker_is_lost_since_the_first_beat_that_said_so(api: TestClient, work: UnitOfWork) -> None:
    add_worker(work)
    beat(work, "a", broker_error="Timeout")
    with work:
        lost_at = work.controllers.live(timeout_s=30)[0].broker_lost_at
    beat(work, "a", broker_error="Connection refused")
    with work:
        assert work.controllers.live(timeout_s=30)[0].broker_lost_at == lost_at
    beat(work, "a")
    assert readiness(api) == ("ready", "")


def test_a_controller_that_fell_silent_or_left_does_not_count(api: TestClient, work: UnitOfWork) -> None:
    add_worker(work)
    beat(work, "silent")
    beat(work, "left")
    with work:
        work.session.execute(text("UPDATE controllers SET beat_at = now() - interval '31 s' WHERE name = 'silent'"))
        work.controllers.leave("left")
        work.commit()
    assert api.get("/ready").json()["controllers"] == 0


@pytest.mark.parametrize(
    ("revision", "status", "problem"),
    [
        ("26bf3c90deb4", 503, "or an older one than this version; run `hqnas migrate`"),
        # As it is for the API of the release before, while an upgrade is under way.
        ("ffffffffffff", 200, "the schema of a newer version; requests are served"),
    ],
)
def test_another_schema_is_told_and_only_a_newer_one_served(
    api: TestClient, engine: Engine, revision: str, status: int, problem: str
) -> None:
    with engine.begin() as connection:
        number = connection.scalar(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    try:
        answer = api.get("/ready")
        assert (answer.status_code, answer.json()["schema_is_current"]) == (status, False)
        assert problem in " ".join(answer.json()["problems"])
    finally:
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": number})


def test_a_running_search_without_workers_says_what_to_do(api: TestClient, work: UnitOfWork) -> None:
    search_id = submit(api)["id"]
    with work:
        search = work.session.get_one(Search, UUID(search_id))
        work.searches.begin(search, wall_time_s=None, versions={}, engines={"2": "batched", "3": "batched"})
        work.commit()
    assert "hqnas worker" in api.get(f"/v1/searches/{search_id}").json()["notice"]


def test_a_search_that_cannot_begin_says_why_and_what_to_do(api: TestClient, work: UnitOfWork) -> None:
    search_id = submit(api)["id"]
    with work:
        work.searches.postpone(work.session.get_one(Search, UUID(search_id)), "start a worker")
        work.commit()
    found = api.get(f"/v1/searches/{search_id}").json()
    assert (found["state"], found["notice"], found["reason"]) == ("queued", "start a worker", None)


def test_the_engines_of_a_search_are_told_once_it_has_begun(api: TestClient, work: UnitOfWork) -> None:
    submitted = submit(api)
    with work:
        search = work.session.get_one(Search, UUID(submitted["id"]))
        work.searches.begin(search, wall_time_s=None, versions={}, engines={"2": "batched", "3": "lightning.qubit"})
        work.commit()
    assert submitted["engines"] is None
    found = api.get(f"/v1/searches/{submitted['id']}").json()
    assert found["engines"] == {"2": "batched", "3": "lightning.qubit"}


def test_a_worker_shows_its_calibration(api: TestClient, work: UnitOfWork) -> None:
    document = calibration(bundles={2: 16}).to_json()
    with work:
        work.workers.register("w", device="cpu", n_slots=2, hardware={}, versions={}, calibration=document)
        work.commit()
    assert api.get("/v1/workers").json()["items"][0]["calibration"] == document


def test_without_a_database_requests_answer_503_and_health_answers(settings: Settings) -> None:
    away = settings.model_copy(
        update={"database_url": Settings(database_url="postgresql://127.0.0.1:1/x").database_url}
    )
    with TestClient(create_app(away)) as client:
        answer = client.get("/v1/searches")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        answer = client.get("/ready")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["problems"] == ["the database does not answer"]
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("53100", "the disk of the database is full; try again in a moment"),
        ("53300", "the database has no connection left; try again in a moment"),
        ("25006", "the database is read-only; try again in a moment"),
        ("40P01", "other transactions were in the way; try again in a moment"),
    ],
)
def test_a_submission_that_the_database_cannot_take_now_answers_503_and_comes_through_later(
    api: TestClient, engine: Engine, code: str, detail: str
) -> None:
    refusing = f"BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{code}'; END"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {refusing} $$"))
        connection.execute(
            text("CREATE TRIGGER refuse BEFORE INSERT ON searches FOR EACH ROW EXECUTE FUNCTION refuse()")
        )
    try:
        answer = api.post("/v1/searches", json=SPEC, headers={"Idempotency-Key": "one"})
    finally:
        with engine.begin() as connection:
            connection.execute(text("DROP FUNCTION refuse CASCADE"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == detail
    submit(api, **{"Idempotency-Key": "one"})
    assert len(api.get("/v1/searches").json()["items"]) == 1


def test_a_request_that_gets_no_connection_answers_503(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database._POOL_TIMEOUT_S", 0.1)
    monkeypatch.setattr("api.app._POOL_SIZE", 1)
    with TestClient(create_app(settings)) as client, contextlib.ExitStack() as held:
        state = client.app.state.hqnas  # type: ignore[attr-defined]  # of FastAPI
        for _ in range(2):
            held.enter_context(state.engine.connect())
        answer = client.get("/v1/searches")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["detail"] == "all connections to the database are in use; try again in a moment"
        assert client.get("/health").status_code == 200
        held.close()
        assert client.get("/v1/searches").status_code == 200


@pytest.fixture
def openapi(api: TestClient) -> dict[str, Any]:
    document: dict[str, Any] = api.get("/openapi.json").json()
    return document


def test_every_operation_is_described(openapi: dict[str, Any]) -> None:
    operations = [one for path in openapi["paths"].values() for one in path.values()]
    assert len(operations) >= 10
    assert all(one.get("description") for one in operations)


def test_every_example_spec_is_accepted(api: TestClient, openapi: dict[str, Any]) -> None:
    body = openapi["paths"]["/v1/searches"]["post"]["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        assert api.post("/v1/searches", json=example["value"]).status_code == 202


def test_the_unit_of_an_objective_is_that_of_the_data_sets_task(api: TestClient) -> None:
    document = {**SPEC, "dataset": {"name": "diabetes"}, "objectives": [{"metric": "validation_loss"}]}
    (objective,) = api.post("/v1/searches", json=document).json()["objectives"]
    assert objective["unit"] == "variance of the training target"


def test_a_sweep_is_stored_without_the_gene_that_it_replaces(api: TestClient) -> None:
    document = {**SPEC, "training": {"learning_rate": [0.1, 0.01]}}
    answer = api.post("/v1/searches", json=document, headers={"Idempotency-Key": "sweep"})
    assert (answer.status_code, answer.json()["spec"]["space"]["learning_rate"]) == (202, None)
    again = api.post("/v1/searches", json=answer.json()["spec"], headers={"Idempotency-Key": "sweep"})
    assert again.json()["id"] == answer.json()["id"]
