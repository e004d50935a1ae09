"""What the API, and the client behind it, tell of candidates that were measured more than once."""

from collections.abc import Iterator

import pytest
from made_up import SPEC, advance_all, candidates, pending, reload, run, settle, submit
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.app import create_app
from config.settings import Settings
from hqnas.client import CandidateDetail
from models import Search, UnitOfWork

ALGORITHM = {**SPEC["algorithm"], "name": "random", "reevaluate": {}}


@pytest.fixture
def api(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def search(engine: Engine) -> Search:
    return run(engine, submit(engine, algorithm=ALGORITHM))


def test_progress_tells_stopped_candidates_apart_from_evaluated_and_failed(api: TestClient, search: Search) -> None:
    document = api.get(f"/v1/searches/{search.id}").json()
    progress = document["progress"]
    assert progress["stopped"] == search.n_stopped > 0
    assert progress["evaluated"] + progress["stopped"] + progress["failed"] == progress["candidates"] == 18
    assert [one["candidates"] for one in document["reevaluation"]] != []


def test_a_stopped_candidate_is_shown_with_its_reason_its_early_metrics_and_its_stages(
    api: TestClient, engine: Engine, search: Search
) -> None:
    row = next(one for one in candidates(engine, search) if one.state == "stopped")
    document = api.get(f"/v1/candidates/{row.id}").json()
    assert row.stopped is not None
    assert document["stopped"] == {**row.stopped, "by": f"{row.stopped['by'][0]}.{row.stopped['by'][1]}"}
    assert (document["state"], document["objectives"], document["is_on_front"]) == ("stopped", None, False)
    assert {"validation_accuracy", "expressibility", "two_qubit_gates"} <= set(document["metrics"])
    detail = CandidateDetail.from_json(document)
    assert [(one.kind, one.epochs, one.state) for one in detail.stages] == [
        ("early", 0, "passed"),
        ("early", 5, "stopped"),
    ]
    assert (detail.stopped or "").startswith("stopped at stage 1, after 5 epochs: dominated by ")


def test_a_candidate_looked_at_again_has_its_old_values_among_its_stages(
    api: TestClient, engine: Engine, search: Search
) -> None:
    row = next(one for one in candidates(engine, search) if one.on_front)
    detail = CandidateDetail.from_json(api.get(f"/v1/candidates/{row.id}").json())
    assert [one.kind for one in detail.stages] == ["early", "early", "full", "again"]
    *_, full, again = detail.stages
    assert full.metrics["expressibility"] != again.metrics["expressibility"] == detail.metrics["expressibility"]


def test_a_search_whose_front_is_being_measured_again_says_so(api: TestClient, engine: Engine) -> None:
    search = submit(engine, algorithm={**ALGORITHM, "generations": 1})
    advance_all(engine)
    while reload(engine, search).reevaluation is None:
        settle(engine, pending(engine))
        advance_all(engine)
    with UnitOfWork(engine) as work:
        work.workers.register("w", device="cpu", n_slots=1, hardware={}, versions={}, calibration=None)
        work.commit()
    document = api.get(f"/v1/searches/{search.id}").json()
    assert document["notice"] == "all 1 generations are done; its front is being measured again, round 1"
    assert document["progress"]["time_left_s"] is None


def test_the_list_has_stopped_candidates_with_their_reason(api: TestClient, search: Search) -> None:
    items = api.get(f"/v1/searches/{search.id}/candidates").json()["items"]
    stopped = [one for one in items if one["state"] == "stopped"]
    assert len(stopped) == search.n_stopped
    assert all(one["stopped"]["reason"] for one in stopped)
