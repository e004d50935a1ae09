import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def spec_file(tmp_path: Path, documents: Any) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(documents.spec))
    return path


def test_submit_prints_the_id_of_the_search(run: Run, spec_file: Path, api: Any) -> None:
    result = run("submit", str(spec_file))

    assert result.exit_code == 0
    assert result.stdout.strip() in api.searches


def test_submit_reads_the_standard_input(run: Run, documents: Any, api: Any) -> None:
    result = run("submit", "-", stdin=json.dumps(documents.spec))

    assert result.stdout.strip() in api.searches


def test_submit_as_json_prints_the_search_alone(run: Run, spec_file: Path) -> None:
    assert json.loads(run("submit", str(spec_file), "--json").stdout)["name"] == "small"


def test_refused_spec_lists_every_problem_with_its_path(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("name: a\ndataset: {name: moon}\nspace: {qubits: 2, layers: 1}\nobjectives: [{metric: speed}]\n")

    result = run("submit", str(path))

    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0] == "hqnas: the spec was refused"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["dataset.name", "objectives.0.metric"]


def test_refused_spec_is_not_sent(run: Run, tmp_path: Path, api: Any) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("name: a\n")

    run("submit", str(path))

    assert api.requests == []


def test_broken_yaml_names_its_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("name: a\n  b: [\n")

    result = run("submit", str(path))

    assert result.exit_code == 2
    assert "spec.yaml, line 2, column" in result.stderr


def test_list_shows_every_search(run: Run, documents: Any) -> None:
    output = run("list").stdout

    assert documents.search_id[:13] in output
    assert documents.older_id[:13] in output


def test_list_is_limited(run: Run) -> None:
    assert len(json.loads(run("list", "--limit", "1", "--json").stdout)) == 1


def test_list_of_nothing_says_what_to_do(run: Run, api: Any) -> None:
    api.searches.clear()

    assert "hqnas submit" in run("list").stderr


def test_name_with_markup_is_shown_as_it_is(run: Run, api: Any, documents: Any) -> None:
    api.searches[documents.search_id]["name"] = "[red]x[/]"

    assert "[red]x[/]" in run("list").stdout


def test_name_with_control_characters_does_not_reach_the_terminal(run: Run, api: Any, documents: Any) -> None:
    api.searches[documents.search_id]["name"] = "a\x1b[2Jb"

    assert "\x1b" not in run("list").stdout


def test_front_shows_members_best_first(run: Run, documents: Any) -> None:
    output = run("front", documents.search_id).stdout

    assert output.index("0.950 ±0.020") < output.index("0.900 ±0.020")


def test_front_as_json_is_the_answer_of_the_api(run: Run, documents: Any) -> None:
    assert json.loads(run("front", "latest", "--json").stdout)["search_id"] == documents.search_id


def test_empty_front_says_so(run: Run, api: Any) -> None:
    api.candidates = []

    assert "The front is empty" in run("front", "latest").stderr


def test_beginning_of_an_id_is_enough(run: Run, documents: Any) -> None:
    assert json.loads(run("front", "0198b", "--json").stdout)["search_id"] == documents.older_id


def test_beginning_of_two_ids_is_refused(run: Run) -> None:
    result = run("front", "0198")

    assert result.exit_code == 1
    assert result.stderr == "hqnas: 2 searches have an id that begins with '0198'; write more of it\n"


def test_beginning_of_no_id_is_not_found(run: Run) -> None:
    assert "no search has an id that begins with 'zzz'" in run("front", "zzz").stderr


def test_a_candidate_where_a_search_is_wanted_is_told_the_search(run: Run) -> None:
    assert run("front", "latest/0.1").stderr == (
        "hqnas: 'latest/0.1' is a candidate of a search; name the search alone: 'latest'\n"
    )


def test_the_best_member_is_shown_by_that_word(run: Run, api: Any) -> None:
    assert json.loads(run("show", "latest/best", "--json").stdout)["id"] == api.candidates[1]["id"]


def test_latest_without_a_search_says_what_to_do(run: Run, api: Any) -> None:
    api.searches.clear()

    assert "there is no search yet" in run("front", "latest").stderr


def test_candidate_is_found_by_its_place(run: Run, api: Any) -> None:
    assert json.loads(run("show", "latest/1.0", "--json").stdout)["id"] == api.candidates[2]["id"]


def test_candidate_at_no_place_is_not_found(run: Run) -> None:
    assert "has no candidate '9.9'" in run("show", "latest/9.9").stderr


def test_show_tells_why_a_candidate_failed(run: Run, api: Any) -> None:
    assert "FloatingPointError: loss is not finite" in run("show", api.candidates[3]["id"]).stdout


def test_show_draws_the_circuit(run: Run, api: Any) -> None:
    assert "1: ──RY──╰Z──" in run("show", api.candidates[0]["id"]).stdout


def test_source_is_printed_alone(run: Run, api: Any) -> None:
    assert run("show", api.candidates[0]["id"], "--source").stdout == "import pennylane as qml\n"


def test_source_and_drawing_exclude_each_other(run: Run, api: Any) -> None:
    assert run("show", api.candidates[0]["id"], "--source", "--drawing").exit_code == 2


def test_cancel_prints_the_new_state(run: Run, documents: Any) -> None:
    assert run("cancel", "latest").stdout == f"{documents.search_id} cancelled\n"


def test_cancelling_what_has_ended_prints_how_it_ended(run: Run, api: Any, documents: Any) -> None:
    api.searches[documents.search_id]["state"] = "finished"

    assert run("cancel", "latest").stdout == f"{documents.search_id} finished\n"


def test_beginning_of_a_candidates_id_says_what_to_write(run: Run, api: Any) -> None:
    assert "latest/2.14" in run("show", "0198d").stderr


@pytest.mark.parametrize(("state", "exit_code"), [("finished", 0), ("failed", 1), ("cancelled", 1)])
def test_watch_exits_by_how_the_search_ended(run: Run, api: Any, documents: Any, state: str, exit_code: int) -> None:
    api.searches[documents.search_id]["state"] = state

    assert run("watch", "latest").exit_code == exit_code


def test_watch_tells_the_reason(run: Run, api: Any, documents: Any) -> None:
    api.searches[documents.search_id].update(state="failed", reason="no candidate can be built")

    assert "small failed: no candidate can be built" in run("watch", "latest").stdout


def test_show_tells_at_which_stage_a_candidate_was_stopped_and_what_each_stage_measured(run: Run, api: Any) -> None:
    def metric(value: float) -> dict[str, Any]:
        return {"validation_accuracy": {"value": value, "std_error": 0.04, "unit": "share", "version": 1}}

    stage = {"kind": "early", "error": None, "evaluation_id": "e", "is_cached": False}
    api.candidates[2] |= {
        "state": "stopped",
        "stopped": {"stage": 1, "epochs": 5, "reason": "dominated by 0.3, …", "by": "0.3", "clearance": 2.1},
        "stages": [
            {**stage, "number": 0, "epochs": 0, "state": "passed", "metrics": {}},
            {**stage, "number": 1, "epochs": 5, "state": "stopped", "metrics": metric(0.61)},
        ],
    }

    shown = run("show", api.candidates[2]["id"]).stdout

    assert "stopped at stage 1, after 5 epochs: dominated by 0.3" in shown
    assert "0.610 ±0.040" in shown


def test_watch_counts_stopped_candidates(run: Run, api: Any, documents: Any) -> None:
    search = api.searches[documents.search_id]
    search |= {"state": "finished", "progress": search["progress"] | {"stopped": 2}}

    assert "stopped early 2" in run("watch", documents.search_id).stdout
