"""Confirmations by client and command line."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import Result

from hqnas.cli.confirmation_screen import confirmation_view
from hqnas.client import Client, Conflict, NotFound, RefusedRequest
from hqnas.client.confirmation import ARMS

Run = Callable[..., Result]


@pytest.fixture
def ended(api: Any, documents: Any) -> str:
    """The id of a search that has ended."""
    api.searches[documents.search_id]["state"] = "finished"
    search_id: str = documents.search_id
    return search_id


def confirming_requests(api: Any) -> list[dict[str, Any]]:
    return [
        json.loads(one.content)
        for one in api.requests
        if one.method == "POST" and one.url.path.endswith("confirmation")
    ]


def test_the_client_asks_and_reads(client: Client, api: Any, ended: str) -> None:
    found = client.confirm(ended, seeds=7, members=["a"], epochs=40)
    assert confirming_requests(api) == [{"seeds": 7, "members": ["a"], "epochs": 40}]
    assert (found.number, len(found.seeds), found.has_ended) == (1, 7, True)
    (member,) = found.members
    assert [arm.name for arm in member.arms] == list(ARMS)
    assert member.comparisons["frozen_circuit"].verdict == "better"
    assert client.confirmation(ended) == client.confirmation(ended, number=1)


def test_what_is_not_given_is_not_sent(client: Client, api: Any, ended: str) -> None:
    client.confirm(ended)
    assert confirming_requests(api) == [{}]


def test_an_unchanged_confirmation_costs_no_body(client: Client, api: Any, ended: str) -> None:
    client.confirm(ended)
    first = client.confirmation(ended)
    assert client.confirmation(ended) is first
    assert api.requests[-1].headers["If-None-Match"] == '"3"'


def test_a_request_sent_twice_has_one_key(client: Client, api: Any, documents: Any, ended: str) -> None:
    api.outages = [documents.problem(503, "Unavailable", "the database does not answer")]
    client.confirm(ended)
    first, second = [one.headers["Idempotency-Key"] for one in api.requests]
    assert first == second


def test_refusals_are_errors_with_a_sentence(client: Client, api: Any, documents: Any, ended: str) -> None:
    with pytest.raises(NotFound, match="no confirmation"):
        client.confirmation(ended)
    with pytest.raises(RefusedRequest, match="epochs: 1 is below the 20 of the search"):
        client.confirm(ended, epochs=1)
    with pytest.raises(Conflict, match="is running"):
        client.confirm(documents.older_id)


def test_watching_yields_each_change_until_the_end(client: Client, api: Any, clock: Any, ended: str) -> None:
    client.confirm(ended)
    api.confirmations[0] |= {"state": "running", "revision": 1}

    def finish() -> None:
        api.confirmations[0] |= {"state": "finished", "revision": 2}

    clock.during = finish
    states = [one.state for one in client.watch_confirmation(ended, number=1)]
    assert states == ["running", "finished"]


def test_confirm_shows_every_network_and_what_can_be_said(run: Run, ended: str) -> None:
    result = run("confirm", ended, "--wait")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    for row in (
        "0.0 candidate 66 0.900 [0.86, 0.94]",
        "frozen circuit 54 + 12 fixed 0.700 [0.66, 0.74] +0.200 [0.17, 0.23] 0.002 better",
        "classical net 71 0.950 [0.91, 0.99] -0.050 [-0.08, -0.02] 0.03 worse",
    ):
        assert row in text
    assert "nothing to take away" in text
    assert "better than its frozen circuit by 0.200, p = 0.002" in text
    assert "tested on 80 rows that no search sees" in text
    assert "This is confirmation 1." in text


def test_a_confirmation_fits_a_terminal_of_80_columns_with_no_word_cut(api: Any, client: Client, ended: str) -> None:
    client.confirm(ended)
    out = io.StringIO()
    Console(file=out, width=80).print(confirmation_view(client.confirmation(ended), width=80))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    row = next(place for place, line in enumerate(lines) if line.lstrip().startswith("frozen"))
    assert [word for word in lines[row].split() if word != "circuit"] == [
        "frozen",
        "54",
        "0.700",
        "+0.200",
        "0.002",
        "better",
    ]
    assert "+ 12 fixed" in lines[row + 1]
    assert "[0.66, 0.74]" in lines[row + 1]


def test_confirm_again_without_again_shows_what_is_there(run: Run, api: Any, ended: str) -> None:
    run("confirm", ended)
    run("confirm", ended, "--seeds", "5")
    assert len(api.confirmations) == 1


def test_another_confirmation_has_to_be_asked_for_in_words(run: Run, api: Any, ended: str) -> None:
    run("confirm", ended)
    refused = run("confirm", ended, "--seeds", "9")
    assert refused.exit_code == 1
    assert "add --again to open its test split once more" in refused.stderr
    assert run("confirm", ended, "--seeds", "9", "--again").exit_code == 0
    assert [len(one["seeds"]) for one in api.confirmations] == [5, 9]


def test_members_are_named_by_their_place(run: Run, api: Any, ended: str) -> None:
    run("confirm", ended, "--member", "0.0", "--member", "1.0")
    ids = [candidate["id"] for candidate in api.candidates]
    assert confirming_requests(api) == [{"members": [ids[0], ids[2]]}]


def test_a_running_search_is_refused_with_the_reason(run: Run, documents: Any) -> None:
    result = run("confirm", documents.older_id)
    assert (result.exit_code, "is running, and its front may still change" in result.stderr) == (1, True)


def test_json_is_what_the_api_answered(run: Run, api: Any, ended: str) -> None:
    document = json.loads(run("confirm", ended, "--wait", "--json").stdout)
    assert document == api.confirmations[0]


def test_too_few_seeds_are_refused_before_anything_is_sent(run: Run, api: Any, ended: str) -> None:
    assert run("confirm", ended, "--seeds", "2").exit_code == 2
    assert api.requests == []


def test_csv_has_one_line_a_training_with_all_digits(run: Run, ended: str, tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    run("confirm", ended)
    assert run("confirm", ended, "--output", str(path)).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [row["arm"] for row in rows] == ["candidate"] * 2 + ["frozen_circuit"] * 2 + ["classical_net"] * 2
    assert rows[2] == {
        "generation": "0",
        "index": "0",
        "digest": "0" * 64,
        "arm": "frozen_circuit",
        "parameters": "66",
        "trained_parameters": "54",
        "quantum_parameters": "12",
        "two_qubit_gates": "6",
        "hidden": "",
        "seed": "0",
        "epoch": "20",
        "validation_loss": "0.5",
        "test_accuracy": "0.7",
        "test_r2": "",
        "test_loss": "0.25",
    }


def test_writing_what_is_not_there_starts_nothing(run: Run, api: Any, ended: str, tmp_path: Path) -> None:
    path = tmp_path / "confirmation.csv"
    result = run("confirm", ended, "--output", str(path))
    assert result.exit_code == 1
    assert f"search {ended} has no confirmation to write yet; start one with `hqnas confirm {ended}" in result.stderr
    assert (confirming_requests(api), path.exists()) == ([], False)


def test_a_file_of_an_unknown_kind_is_refused_before_anything_is_sent(run: Run, api: Any, ended: str) -> None:
    result = run("confirm", ended, "--output", "x.png")
    assert (result.exit_code, api.requests) == (2, [])
    assert "has to end in .csv or .json" in " ".join(result.stderr.split())


def test_cancel_stops_the_newest(run: Run, api: Any, ended: str) -> None:
    run("confirm", ended)
    result = run("confirm", ended, "--cancel")
    assert (result.exit_code, "cancelled on request" in result.stdout) == (0, True)
    assert run("confirm", ended, "--cancel", "--seeds", "5").exit_code == 2


def test_a_failed_confirmation_is_told_by_the_exit_code(run: Run, api: Any, documents: Any, ended: str) -> None:
    api.confirmations = [documents.confirmation(state="failed", reason="none of its 1 members could be measured")]
    assert run("confirm", ended).exit_code == 1


def test_a_member_that_failed_is_told_with_its_reason(run: Run, api: Any, documents: Any, ended: str) -> None:
    found = documents.confirmation()
    error = {"class": "TrainingDiverged", "message": "the loss [bold]became nan"}
    found["members"][0] |= {"state": "failed", "arms": {}, "comparisons": [], "sentence": None, "error": error}
    api.confirmations = [found]
    assert "could not be measured: TrainingDiverged: the loss [bold]became nan" in run("confirm", ended).stdout


def test_while_it_runs_what_is_there_is_shown(run: Run, api: Any, documents: Any, ended: str) -> None:
    found = documents.confirmation(state="running", reason=None, tests=None, metric=None, rows=None)
    found["members"][0] |= {"state": "waiting", "arms": {}, "comparisons": [], "sentence": None}
    found["progress"] |= {"measured": 0, "waiting": 1}
    api.confirmations = [found]
    result = run("confirm", ended)
    assert (result.exit_code, "0 of 1 members measured" in result.stdout) == (0, True)
