"""The whole of a check, in one snapshot: all searches or one, their evaluations, and what stands still."""

from uuid import UUID

from config.settings import Settings
from models import UnitOfWork
from worker.check.evaluations import check_attempts
from worker.check.findings import Findings, Report, Violation
from worker.check.search import check_search
from worker.check.standstill import check_standstill

#: What is due may be late by this much: a controller that proposes a large generation sweeps nothing meanwhile.
GRACE_S = 60.0


def check(
    work: UnitOfWork,
    settings: Settings,
    *,
    search_id: UUID | None = None,
    grace_s: float = GRACE_S,
    served_s: float | None = None,
    replays: bool = True,
) -> list[Violation]:
    """Returns what does not hold; the arguments are those of `examine`."""
    report = examine(work, settings, search_id=search_id, grace_s=grace_s, served_s=served_s, replays=replays)
    return list(report.violations)


def examine(
    work: UnitOfWork,
    settings: Settings,
    *,
    search_id: UUID | None = None,
    grace_s: float = GRACE_S,
    served_s: float | None = None,
    replays: bool = True,
) -> Report:
    """Checks all searches, or one, as they are at one moment.

    Args:
        work: entered, and not used yet: all is read in one snapshot.
        settings: those of the service: how long doorbells and workers may be silent.
        search_id: of the one search, whichever team's.
        grace_s: how late anything may be before it counts as forgotten.
        served_s: for how long a controller has been at work, 0 if none is; by default, connected to the database. What
            it has not had the grace to see to is no violation, and a note says so.
        replays: whether proposals, survivors and verdicts are made again: most of the time that a check takes.

    Raises:
        LookupError: there is no such search.
    """
    findings = Findings()
    work.snapshot()
    ids = work.audit.search_ids() if search_id is None else [search_id]
    n_candidates = 0
    for one in ids:
        search = work.audit.search(one)
        if search is None:
            raise LookupError(f"there is no search {one}")
        n_candidates += check_search(work, search, findings, replays=replays)
    check_attempts(work, search_id, findings)
    check_standstill(
        work,
        settings,
        search_id,
        findings,
        grace_s=grace_s,
        served_s=work.arrears.served_s() if served_s is None else served_s,
    )
    return Report(
        violations=findings.violations,
        notes=findings.notes,
        n_searches=len(ids),
        n_candidates=n_candidates,
        n_evaluations=work.audit.count_evaluations(search_id),
    )
