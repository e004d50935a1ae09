"""`hqnas check` as an operator meets it: what it prints, and how it exits."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import EPOCHS, SPEC, advance_all, pending, run, settle, submit
from sqlalchemy import Engine, make_url, text
from typer.testing import CliRunner, Result

from hqnas.cli.application import app
from models import Search, UnitOfWork, connect
from nas.evaluation import evaluate
from nas.space import Genome
from nas.spec import Protocol
from worker.machine import hardware

SMALL = {"training": {"epochs": EPOCHS}, "algorithm": {**SPEC["algorithm"], "generations": 1}}
UNKNOWN = "01890000-0000-7000-8000-000000000000"
Check = Callable[..., Result]


@pytest.fixture
def check(engine: Engine, database_url: str) -> Check:
    def invoke(*arguments: str, **environment: str) -> Result:
        environment = {"HQNAS_DATABASE_URL": database_url, "COLUMNS": "80", **environment}
        return CliRunner().invoke(app, ["check", *arguments], env=environment)

    return invoke


def spoil(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET n_settled = n_settled - 1"))


def test_a_clean_database_is_one_sentence_and_exit_0(check: Check, engine: Engine) -> None:
    run(engine, submit(engine, **SMALL))
    found = check()
    assert (found.exit_code, found.stdout) == (0, "All holds: 1 search, 6 candidates, 6 evaluations checked.\n")


def test_an_empty_database_is_clean(check: Check) -> None:
    found = check()
    assert (found.exit_code, found.stdout) == (0, "All holds: 0 searches, 0 candidates, 0 evaluations checked.\n")


def test_a_violation_is_named_with_its_ids_in_80_columns_and_exits_1(check: Check, engine: Engine) -> None:
    search = run(engine, submit(engine, **SMALL))
    spoil(engine)
    found = check()
    assert found.exit_code == 1
    assert found.stdout.startswith("I3  does not hold: each result is told once, ")
    assert "    n_settled is 5, and the rows say 6\n" in found.stdout
    assert f"      {search.id}\n" in found.stdout
    assert "1 thing is wrong: 1 search, 6 candidates, 6 evaluations checked.\n" in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 80


def test_json_has_violations_notes_and_what_was_checked(check: Check, engine: Engine) -> None:
    search = run(engine, submit(engine, **SMALL))
    spoil(engine)
    found = check("--json")
    assert (found.exit_code, json.loads(found.stdout)) == (
        1,
        {
            "violations": [
                {"invariant": "I3", "message": "n_settled is 5, and the rows say 6", "ids": [str(search.id)]}
            ],
            "notes": [],
            "checked": {"searches": 1, "candidates": 6, "evaluations": 6},
        },
    )


@pytest.mark.parametrize(
    "of", [str, lambda one: str(one)[:13].upper(), lambda _: "latest"], ids=["id", "begun", "latest"]
)
def test_one_search_is_checked_alone(check: Check, engine: Engine, of: Callable[[Any], str]) -> None:
    run(engine, submit(engine, **SMALL))
    spoil(engine)
    search = run(engine, submit(engine, **SMALL, dataset={"name": "wine"}))
    found = check(of(search.id))
    assert (found.exit_code, found.stdout) == (0, "All holds: 1 search, 6 candidates, 6 evaluations checked.\n")


@pytest.mark.parametrize("search", [UNKNOWN, "ffff", "no such thing", "%"])
def test_an_unknown_search_is_a_sentence_and_exit_2(check: Check, engine: Engine, search: str) -> None:
    submit(engine, **SMALL)
    found = check(search)
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr == f"hqnas: no search has the id '{search}', nor one that begins so; see `hqnas list`\n"


def test_a_beginning_of_several_ids_is_refused(check: Check, engine: Engine) -> None:
    searches = [submit(engine, **SMALL) for _ in range(2)]
    beginning = str(searches[0].id)[:3]
    found = check(beginning)
    assert (found.exit_code, f"several searches have an id that begins with '{beginning}'" in found.stderr) == (2, True)


def test_latest_of_no_searches_is_a_sentence(check: Check) -> None:
    found = check("latest")
    assert (found.exit_code, "there is no search yet" in found.stderr) == (2, True)


def test_a_stopped_service_is_noted_and_no_violation(check: Check, engine: Engine) -> None:
    submit(engine, **SMALL)
    advance_all(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET advanced_at = now() - interval '1 day'"))
        connection.execute(
            text(
                "UPDATE evaluations SET state = 'running', worker = 'gone', lease_expires_at = now() - interval '1 day'"
            )
        )
    found = check()
    assert found.exit_code == 0
    words = " ".join(found.stdout.split())
    assert "· no controller is connected to this database: 1 search or confirmation that has not ended" in words
    assert "· 6 evaluations wait for a worker with device cpu, and none was heard of in the last 30 s" in words


def test_a_connected_controller_is_held_to_its_work(check: Check, engine: Engine, database_url: str) -> None:
    submit(engine, **SMALL)
    advance_all(engine)
    (one, *_) = pending(engine)
    settle(engine, [one])
    with engine.begin() as connection:
        connection.execute(text("UPDATE searches SET advanced_at = now() - interval '1 day'"))
        connection.execute(
            text("UPDATE evaluations SET finished_at = now() - interval '1 day' WHERE state = 'succeeded'")
        )
    other = connect(database_url, application="controller")
    with other.connect():
        found, early = check("--grace", "0"), check("--grace", "3600")
    other.dispose()
    assert (found.exit_code, early.exit_code) == (1, 0)
    assert "a search could move, and no controller has taken it for more than 0 s" in " ".join(found.stdout.split())
    assert "a controller has been connected to this database for 0 s only" in early.stdout


@pytest.fixture
def other_url(engine: Engine, database_url: str) -> Iterator[str]:
    """A second, empty database on the test server."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE check_test"))
        yield make_url(database_url).set(database="check_test").render_as_string(hide_password=False)
        connection.execute(text("DROP DATABASE check_test WITH (FORCE)"))


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        (None, "has no tables of hqnas; is it the right one?"),
        ("8c1d7e5a40f2", "has an older schema than this version of hqnas; run `hqnas migrate` first"),
        ("ffffffffffff", "has a newer schema than this version of hqnas knows"),
    ],
)
def test_another_schema_is_a_sentence_and_exit_2(check: Check, other_url: str, revision: str | None, says: str) -> None:
    if revision is not None:
        other = connect(other_url, application="test")
        with other.begin() as connection:
            connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})
        other.dispose()
    found = check(HQNAS_DATABASE_URL=other_url)
    assert (found.exit_code, f"hqnas: the database {says}" in found.stderr, found.stderr.count("\n")) == (2, True, 1)


def test_a_database_that_is_down_is_a_sentence_and_exit_2(check: Check) -> None:
    found = check(HQNAS_DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing")
    assert found.exit_code == 2
    assert found.stderr.startswith("hqnas: the database does not answer, and was not checked: ")
    assert found.stderr.count("\n") == 1


def test_without_a_database_the_home_of_hqnas_up_is_looked_at(
    check: Check, engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HQNAS_DATABASE_URL", raising=False)
    nothing = CliRunner().invoke(app, ["check", "--home", str(tmp_path)])
    assert (nothing.exit_code, nothing.stderr.count("\n")) == (2, 1)
    assert nothing.stderr.startswith(f"hqnas: no `hqnas up` runs on {tmp_path}; start one, ")
    found = {tmp_path / "postgres": database_url}
    monkeypatch.setattr("hqnas.launcher.cluster.url_of_running", found.get)
    assert CliRunner().invoke(app, ["check", "--home", str(tmp_path)]).exit_code == 0
    assert CliRunner().invoke(app, ["check"], env={"HQNAS_HOME": str(tmp_path)}).exit_code == 0


def test_without_the_optimiser_it_says_what_to_install(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("worker.", "nas.algorithms"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "moocore", None)
    found = check()
    assert (found.exit_code, found.stderr) == (
        2,
        "hqnas: `hqnas check` needs moocore, which is not installed; install 'hqnas[worker]'\n",
    )


EXACT = {
    "space": {"qubits": 4, "layers": [1, 2, 3, 4]},
    "training": {"mode": "pure-quantum"},
    "objectives": [{"metric": "expressibility"}, {"metric": "entangling_capability"}],
    "algorithm": {"population": 4, "generations": 1},
    "engine": "batched",
}


@pytest.fixture
def measured(engine: Engine) -> Search:
    """A search whose results are measured on this machine."""
    torch.set_num_threads(1)
    search = submit(engine, **EXACT)
    advance_all(engine)
    with UnitOfWork(engine) as work:
        work.workers.register("w", device="cpu", n_slots=1, hardware=hardware(), versions={})
        for one in pending(engine):
            (claim,) = work.evaluations.claim([one.id], worker="w", lease_s=60)
            found = evaluate(Genome.from_json(claim.genome), Protocol.model_validate(claim.protocol))
            work.evaluations.succeed(claim, found.to_json())
        work.commit()
    advance_all(engine)
    return search


def test_results_come_out_again_to_the_last_bit(check: Check, measured: Search) -> None:
    found = check("--recompute", "9")
    assert (found.exit_code, "· 4 results were measured again\n" in found.stdout) == (0, True)


def test_a_result_that_does_not_come_out_again_is_found(check: Check, engine: Engine, measured: Search) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE evaluations SET result = jsonb_set(result, '{metrics,expressibility,value}', "
                "to_jsonb((result#>>'{metrics,expressibility,value}')::float8 + 1e-15))"
            )
        )
        connection.execute(text("UPDATE candidates SET metrics = NULL, objectives = '{0, 0}'"))
    found = json.loads(check("--recompute", "2", "--json", str(measured.id)).stdout)
    again = [one for one in found["violations"] if "measured again" in one["message"]]
    assert [one["invariant"] for one in again] == ["I4"] * 2
    assert "comes out otherwise when it is measured again: expressibility has value " in again[0]["message"]


def test_what_another_processor_measured_is_left_out(check: Check, engine: Engine, measured: Search) -> None:
    with engine.begin() as connection:
        connection.execute(text('UPDATE workers SET hardware = \'{"processor": "another"}\''))
    found = check("--recompute", "9")
    assert found.exit_code == 0
    assert "0 results were measured again; 4 others are of another processor" in " ".join(found.stdout.split())
