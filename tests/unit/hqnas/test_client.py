import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from hqnas.client import (
    Client,
    Conflict,
    HqnasError,
    NotAllowed,
    NotFound,
    RefusedSpec,
    SpecProblem,
    TimedOut,
    UnexpectedAnswer,
    UnreadableSpec,
)
from nas.spec import parse_spec


def test_submitting_a_mapping_sends_it_as_json(client: Client, api: Any, documents: Any) -> None:
    client.submit(documents.spec)

    assert json.loads(api.requests[0].content) == documents.spec


def test_submitting_a_file_sends_its_values(client: Client, api: Any, documents: Any, tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(documents.spec))

    client.submit(path)

    assert json.loads(api.requests[0].content) == documents.spec


def test_submitting_a_validated_spec_sends_one_that_validates_to_the_same(
    client: Client, api: Any, documents: Any
) -> None:
    spec = parse_spec(documents.spec)

    client.submit(spec)

    assert parse_spec(json.loads(api.requests[0].content)) == spec


def test_submission_whose_answer_was_lost_is_repeated_and_makes_one_search(
    client: Client, api: Any, documents: Any
) -> None:
    api.loses_answers = 2
    n_before = len(api.searches)

    search = client.submit(documents.spec)

    assert len(api.requests) == 3
    assert len(api.searches) == n_before + 1
    assert search.id in api.searches


def test_two_submissions_of_one_spec_make_two_searches(client: Client, documents: Any) -> None:
    assert client.submit(documents.spec).id != client.submit(documents.spec).id


def test_refused_spec_carries_paths_and_messages(client: Client) -> None:
    with pytest.raises(RefusedSpec) as caught:
        client.submit({"name": "x"})

    assert caught.value.problems == (SpecProblem("space", "is required and missing"),)


def test_unknown_search_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound, match="there is no search nothing"):
        client.search("nothing")


def test_key_of_another_spec_is_a_conflict(client: Client, documents: Any) -> None:
    client.submit(documents.spec, idempotency_key="k")

    with pytest.raises(Conflict, match="used with another body"):
        client.submit({**documents.spec, "name": "other"}, idempotency_key="k")


def test_key_of_the_same_spec_gives_the_same_search(client: Client, documents: Any) -> None:
    first = client.submit(documents.spec, idempotency_key="k")

    assert client.submit(documents.spec, idempotency_key="k") == first


def test_answer_without_our_problem_format_is_no_missing_search(client: Client, api: Any) -> None:
    api.outages = [httpx.Response(404, text="<html>nginx</html>")]

    with pytest.raises(UnexpectedAnswer, match="no hqnas API"):
        client.search("a")


def test_refused_key_is_named(client: Client, api: Any, documents: Any) -> None:
    api.outages = [documents.problem(401, "Unauthorized", "no key was sent")]

    with pytest.raises(NotAllowed, match="no key was sent"):
        client.search("a")


def test_answer_of_another_shape_is_explained(client: Client, api: Any) -> None:
    api.outages = [httpx.Response(200, json={"id": 1})]

    with pytest.raises(UnexpectedAnswer, match="same version"):
        client.search("a")


def test_unchanged_front_is_answered_with_304_and_is_the_same(client: Client, api: Any, documents: Any) -> None:
    first = client.front(documents.search_id)
    second = client.front(documents.search_id)

    assert api.requests[1].headers["If-None-Match"] == '"7"'
    assert second is first


def test_changed_front_is_read_anew(client: Client, api: Any, documents: Any) -> None:
    first = client.front(documents.search_id)
    api.searches[documents.search_id]["revision"] = 8

    assert client.front(documents.search_id).revision == first.revision + 1


def test_lists_follow_their_cursors(client: Client, api: Any, documents: Any) -> None:
    api.page_size = 1

    assert [c.index for c in client.candidates(documents.search_id)] == [0, 1, 0, 1]
    assert [request.url.params.get("cursor") for request in api.requests] == [None, "1", "2", "3"]


def test_lists_fetch_no_page_that_is_not_read(client: Client, api: Any) -> None:
    api.page_size = 1

    next(client.searches())

    assert len(api.requests) == 1


def test_searches_can_be_asked_by_state(client: Client, api: Any, documents: Any) -> None:
    api.searches[documents.older_id]["state"] = "failed"

    assert [search.id for search in client.searches(state="failed")] == [documents.older_id]


def test_ids_cannot_leave_their_place_in_the_path(client: Client, api: Any) -> None:
    with pytest.raises(NotFound):
        client.search("../candidates/x")

    assert api.requests[0].url.raw_path == b"/v1/searches/..%2Fcandidates%2Fx"


def test_watch_yields_each_change_once_and_ends(client: Client, api: Any, clock: Any, documents: Any) -> None:
    search = api.searches[documents.search_id]

    def change() -> None:
        if len(clock.waits_s) == 3:
            search.update(revision=8, state="finished")

    clock.during = change

    assert [state.state for state in client.watch(documents.search_id)] == ["running", "finished"]


def test_watch_survives_an_outage(client: Client, api: Any, clock: Any, documents: Any) -> None:
    states = client.watch(documents.search_id)
    next(states)
    api.outages = [httpx.ConnectError("refused"), httpx.Response(503, headers={"Retry-After": "2"})]
    clock.during = lambda: api.searches[documents.search_id].update(revision=8, state="cancelled")

    assert next(states).state == "cancelled"


def test_wait_returns_the_final_state(client: Client, api: Any, clock: Any, documents: Any) -> None:
    clock.during = lambda: api.searches[documents.search_id].update(revision=8, state="failed", reason="no worker")

    assert client.wait(documents.search_id).reason == "no worker"


def test_wait_gives_up_after_its_time(client: Client, clock: Any, documents: Any) -> None:
    with pytest.raises(TimedOut, match="still running"):
        client.wait(documents.search_id, timeout_s=5.0)
    assert clock.now_s <= 5.0


def test_best_member_has_the_highest_validation_accuracy(client: Client, documents: Any) -> None:
    best = client.front(documents.search_id).best()

    assert best is not None
    assert best.objectives is not None
    assert best.objectives["validation_accuracy"] == 0.95


def test_equal_accuracy_goes_to_fewer_two_qubit_gates(client: Client, api: Any, documents: Any) -> None:
    api.candidates = [
        documents.candidate(0, accuracy=0.9, expressibility=0.1, gates=5, is_on_front=True),
        documents.candidate(1, accuracy=0.9, expressibility=0.2, gates=1, is_on_front=True),
    ]

    best = client.front(documents.search_id).best()

    assert best is not None
    assert best.index == 1


def test_best_in_a_minimized_objective_is_the_smallest(client: Client, documents: Any) -> None:
    best = client.front(documents.search_id).best("expressibility")

    assert best is not None
    assert best.objectives is not None
    assert best.objectives["expressibility"] == 0.5


def test_empty_front_has_no_best_member(client: Client, api: Any, documents: Any) -> None:
    api.candidates = []

    assert client.front(documents.search_id).best() is None


def test_times_are_aware(client: Client, documents: Any) -> None:
    assert client.search(documents.search_id).created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_failed_candidate_tells_its_error(client: Client, api: Any) -> None:
    assert client.candidate(api.candidates[3]["id"]).error == "FloatingPointError: loss is not finite"


def test_exact_metric_has_no_error_bar(client: Client, api: Any) -> None:
    assert client.candidate(api.candidates[0]["id"]).metrics["two_qubit_gates"].error is None


def test_curves_are_read(client: Client, api: Any) -> None:
    assert client.candidate(api.candidates[0]["id"]).curves[0][0].validation_accuracy == 0.8


def test_generations_are_read(client: Client, documents: Any) -> None:
    assert [g.hypervolume for g in client.generations(documents.search_id)] == [0.5, 0.71]


def test_address_that_is_no_url_is_explained() -> None:
    with pytest.raises(HqnasError, match="is no URL"):
        Client("nowhere").search("a")


def test_default_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HQNAS_URL", "http://elsewhere.test/")

    assert Client().url == "http://elsewhere.test"


def test_file_that_holds_a_list_is_no_spec(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("- name\n")

    with pytest.raises(UnreadableSpec, match="holds a list"):
        client.submit(path)


def test_importing_the_client_loads_no_simulator_and_no_database() -> None:
    heavy = "{'torch', 'pennylane', 'pymoo', 'sqlalchemy', 'numpy', 'celery', 'fastapi'}"
    program = f"import sys; from hqnas import Client; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=_ROOT)

    assert done.stdout.strip() == "[]"


_ROOT = Path(__file__).parents[3]
