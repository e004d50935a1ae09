"""`hqnas check`: whether what must hold does, on a database that may be at work."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hqnas.cli.failures import needs_worker_packages

if TYPE_CHECKING:
    from uuid import UUID

    from rich.console import Console
    from sqlalchemy import Engine

    from config.settings import Settings
    from models import UnitOfWork
    from worker.check import Report

CHECK_EXAMPLE: Final = (
    "\b\nExamples:\n  hqnas check                 # every search, evaluation and lease\n  hqnas check latest\n"
    "  hqnas check --json | jq '.violations'"
)

_GRACE_S: Final = 60.0  #: as worker.check has it, which is too heavy to load for a default
_CANNOT: Final = 2  #: the exit code where nothing could be checked
_ANSWER_S: Final = 600.0  #: for one statement, which may read all that there is


def check(
    search: Annotated[
        str | None,
        typer.Argument(
            metavar="SEARCH", help="Id of a search, the beginning of it, or 'latest'.", show_default="all searches"
        ),
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Folder of a running `hqnas up`.", show_default="HQNAS_HOME")
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds by which leases, doorbells and searches may be late.")
    ] = _GRACE_S,
    quick: Annotated[
        bool, typer.Option("--quick", help="Make no proposals, survivors and verdicts again: most of the time.")
    ] = False,
    recompute: Annotated[
        int, typer.Option(min=0, metavar="N", help="Measure so many results again, drawn at random.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Checks a database, also while searches run: that nothing was lost, doubled, mixed up or forgotten.

    Fronts, budgets and counters are computed anew from all rows, and what was proposed from its seed. It reads the
    database of HQNAS_DATABASE_URL, or of `hqnas up` on this machine, in one snapshot, and changes nothing. What is late
    is held only against a controller that has been connected for longer than the grace.

    The exit code is 0 if all holds, 1 if something does not, 2 if that could not be found out.
    """
    from config import Settings

    with needs_worker_packages("check", exit_code=_CANNOT):
        import worker.check  # noqa: F401  # loads the optimiser, which the base installation lacks

    settings = Settings.load()
    report = _examine(settings, _url(settings, home), search, grace_s=grace, replays=not quick, n_again=recompute)
    if as_json:
        typer.echo(_to_json(report))
    else:
        from rich.console import Console

        _print(Console(highlight=False), report)
    if report.violations:
        raise typer.Exit(1)


def _url(settings: "Settings", home: Path | None) -> str:
    from hqnas.launcher.cluster import url_of_running

    if settings.database_url is not None and home is None:
        return settings.require_database_url()
    folder = (home if home is not None else settings.home).expanduser().absolute()
    url = url_of_running(folder / "postgres")
    if url is None:
        raise _refusal(
            f"no `hqnas up` runs on {folder}; start one, name the folder of another with --home, or set "
            "HQNAS_DATABASE_URL to postgresql://…"
        )
    return url


def _examine(
    settings: "Settings", url: str, search: str | None, *, grace_s: float, replays: bool, n_again: int
) -> "Report":
    from sqlalchemy.exc import DBAPIError

    from models import UnitOfWork, connect, disposing, is_transient
    from worker.check import examine

    with disposing(connect(url, application="check", pool_size=1, answer_s=_ANSWER_S)) as engine:
        try:
            _refuse_other_schema(engine)
            with UnitOfWork(engine) as work:
                search_id = None if search is None else _search_id(work, search)
            with UnitOfWork(engine) as work:
                report = examine(work, settings, search_id=search_id, grace_s=grace_s, replays=replays)
            with UnitOfWork(engine) as work:
                return report if not n_again else _with_results_again(work, report, search_id, n_again)
        except DBAPIError as error:
            if not is_transient(error):
                raise
            reason = str(error.orig or error).strip().partition("\n")[0]
            raise _refusal(f"the database does not answer, and was not checked: {reason}") from error


def _with_results_again(work: "UnitOfWork", report: "Report", search_id: "UUID | None", n: int) -> "Report":
    from worker.check.remeasure import remeasure

    again = remeasure(work, n=n, search_id=search_id)
    return replace(report, violations=(*report.violations, *again.violations), notes=(*report.notes, *again.notes))


def _refuse_other_schema(engine: "Engine") -> None:
    from models.migrate import SchemaAge, schema_age

    sentences = {
        SchemaAge.ABSENT: "the database has no tables of hqnas; is it the right one? `hqnas migrate` makes them",
        SchemaAge.OLDER: "the database has an older schema than this version of hqnas; run `hqnas migrate` first",
        SchemaAge.NEWER: "the database has a newer schema than this version of hqnas knows; check it with that version",
    }
    sentence = sentences.get(schema_age(engine))
    if sentence is not None:
        raise _refusal(sentence)


def _search_id(work: "UnitOfWork", text: str) -> "UUID":
    if text in ("latest", "last"):
        ids = work.audit.find("", limit=1)
        if not ids:
            raise _refusal("there is no search yet; make one with `hqnas submit FILE`")
        return ids[0]
    ids = work.audit.find(text, limit=2)
    if not ids:
        raise _refusal(f"no search has the id '{text}', nor one that begins so; see `hqnas list`")
    if len(ids) > 1:
        raise _refusal(f"several searches have an id that begins with '{text}'; write more of it")
    return ids[0]


def _refusal(sentence: str) -> typer.Exit:
    typer.echo(f"hqnas: {sentence}", err=True)
    return typer.Exit(_CANNOT)


def _to_json(report: "Report") -> str:
    document = {
        "violations": [
            {"invariant": one.invariant, "message": one.message, "ids": list(one.ids)} for one in report.violations
        ],
        "notes": list(report.notes),
        "checked": {
            "searches": report.n_searches,
            "candidates": report.n_candidates,
            "evaluations": report.n_evaluations,
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _print(console: "Console", report: "Report") -> None:
    from rich.padding import Padding
    from rich.text import Text

    from worker.check import INVARIANTS

    checked = ", ".join(
        f"{n:,} {name}{'' if n == 1 else one_more}"
        for n, name, one_more in (
            (report.n_searches, "search", "es"),
            (report.n_candidates, "candidate", "s"),
            (report.n_evaluations, "evaluation", "s"),
        )
    )
    last = None
    for one in report.violations:
        if one.invariant != last:
            console.print(
                Text.assemble((f"{one.invariant}  ", "bold red"), f"does not hold: {INVARIANTS[one.invariant]}")
            )
            last = one.invariant
        console.print(Padding(Text(one.message), (0, 0, 0, 4), expand=False))
        for identifier in one.ids:
            console.print(Text(f"      {identifier}", "dim"))
    n = len(report.violations)
    ending = Text("All holds", "green") if not n else Text(f"{n} thing{'s are' if n > 1 else ' is'} wrong", "bold red")
    console.print(Text.assemble(ending, f": {checked} checked."))
    for note in report.notes:
        console.print(Text(f"· {note}", "dim"))
