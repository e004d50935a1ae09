"""The confirmations of a search: whole, counted exactly, and telling what was measured (I1, I3, I6)."""

from models import Confirmation, ConfirmationMember, Search, UnitOfWork
from models.audit import Source
from models.states import CONFIRMATION_OPEN, SEARCH_OPEN, CandidateState, ConfirmationState, EvaluationState
from worker.check.findings import Findings

_SETTLED = (CandidateState.EVALUATED, CandidateState.FAILED)


def check_confirmations(work: UnitOfWork, search: Search, findings: Findings) -> None:
    """Holds the confirmations of a search and their members to what was measured."""
    confirmations = work.audit.confirmations(search.id)
    numbers = [one.number for one in confirmations]
    if numbers != list(range(1, len(numbers) + 1)):
        claim = "its confirmations are numbered {found}"
        findings.violation("I1", claim, search.id, found=", ".join(map(str, numbers)))
    if confirmations and search.state in SEARCH_OPEN:
        claim = "the search is confirmed although it is {state}"
        findings.violation("I1", claim, search.id, confirmations[0].id, state=search.state)
    for confirmation in confirmations:
        members = work.audit.members(confirmation.id)
        for member, of_search, source in members:
            if of_search != search.id:
                claim = "confirmation {number} has a candidate of another search"
                findings.violation(
                    "I6", claim, search.id, confirmation.id, member.candidate_id, number=confirmation.number
                )
            _check_member(search, confirmation, member, source, findings)
        _check_counts(search, confirmation, [member for member, _, _ in members], findings)


def _check_member(
    search: Search,
    confirmation: Confirmation,
    member: ConfirmationMember,
    source: Source | None,
    findings: Findings,
) -> None:
    ids = (search.id, confirmation.id, member.candidate_id)
    name = f"member {member.index} of confirmation {confirmation.number}"
    if source is not None and source.team_id != search.team_id:
        findings.violation("I6", "{name} uses an evaluation of another team", *ids, source.id, name=name)
    is_open = confirmation.state in CONFIRMATION_OPEN
    if member.state == (CandidateState.CANCELLED if is_open else CandidateState.WAITING):
        claim = "{name} is {found} although the confirmation is {state}"
        findings.violation("I1", claim, *ids, name=name, found=member.state, state=confirmation.state)
    if source is None:
        if confirmation.state == ConfirmationState.RUNNING or member.state in _SETTLED:
            findings.violation("I1", "{name} is {state} without an evaluation", *ids, name=name, state=member.state)
    elif member.state == CandidateState.EVALUATED and (
        source.state != EvaluationState.SUCCEEDED or member.result != source.result
    ):
        claim = "{name} does not keep what its evaluation, which is {state}, measured"
        findings.violation("I3", claim, *ids, source.id, name=name, state=source.state)
    if member.state == CandidateState.FAILED and member.error is None:
        findings.violation("I3", "{name} has failed without an error that says why", *ids, name=name)


def _check_counts(
    search: Search, confirmation: Confirmation, members: list[ConfirmationMember], findings: Findings
) -> None:
    ids = (search.id, confirmation.id)
    states = [member.state for member in members]
    expected = {
        "n_members": len(members),
        "n_settled": sum(state in _SETTLED for state in states),
        "n_failed": states.count(CandidateState.FAILED),
    }
    for name, n in expected.items():
        found = getattr(confirmation, name)
        if found != n:
            claim = f"{name} of confirmation {{number}} is {{found}}, and the rows say {{n}}"
            findings.violation("I3", claim, *ids, number=confirmation.number, found=found, n=n)
    if [member.index for member in members] != list(range(len(members))):
        claim = "the members of confirmation {number} are not numbered from 0 on"
        findings.violation("I1", claim, *ids, number=confirmation.number)
    if (confirmation.state == ConfirmationState.FINISHED) != (confirmation.report is not None):
        claim = "confirmation {number} is {state}, and has {report} report"
        report = "no" if confirmation.report is None else "a"
        findings.violation("I3", claim, *ids, number=confirmation.number, state=confirmation.state, report=report)
    if confirmation.state == ConfirmationState.FINISHED and expected["n_settled"] != len(members):
        claim = "confirmation {number} is finished, and {n} of its members are not settled"
        n = len(members) - expected["n_settled"]
        findings.violation("I1", claim, *ids, number=confirmation.number, n=n)
    if (confirmation.state in CONFIRMATION_OPEN) != (confirmation.finished_at is None):
        claim = "confirmation {number} is {state}, and has {end} time of its end"
        end = "no" if confirmation.finished_at is None else "a"
        findings.violation("I1", claim, *ids, number=confirmation.number, state=confirmation.state, end=end)
