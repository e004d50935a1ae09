"""Whether a schedule kept what must hold: its outcome beside that of the same searches undisturbed."""

import math
from typing import Any, Final

from faults.simulation.requests import Caller
from faults.simulation.world import SETTINGS
from made_up import outcome
from sqlalchemy import Engine, func, select

from models import Search, UnitOfWork
from models.states import EVALUATION_OPEN, SearchState
from models.tables import Evaluation
from worker.check import check

Outcome = dict[str, Any]

#: At the end, everything has had all the time that it needs.
_GRACE_S: Final = 1.0


def outcome_of(engine: Engine, caller: Caller) -> Outcome:
    """Returns all of a search that must not depend on what went wrong, nor on who else was there."""
    with UnitOfWork(engine) as work:
        assert caller.search_id is not None
        search = work.session.get_one(Search, caller.search_id)
        generations = [(one.number, one.n_evaluations, one.hypervolume) for one in work.searches.generations(search.id)]
        confirmation = work.confirmations.get(search.id)
    return {
        "search": {
            name: getattr(search, name)
            for name in (
                "state", "reason", "generation", "n_candidates", "n_settled", "n_failed", "n_stopped", "n_front",
                "hypervolume", "reference_point", "engines", "reevaluation",
            )
        },
        "generations": generations,
        "candidates": outcome(engine, search),
        "confirmation": None
        if confirmation is None
        else (confirmation.number, confirmation.state, confirmation.n_failed, confirmation.report),
    }  # fmt: skip


def differences(caller: Caller, found: Outcome, expected: Outcome) -> list[str]:
    """Returns in what a search came out other than undisturbed; of a cancelled one, what it got to is compared."""
    name = f"search {caller.request.spec['algorithm']} of team {caller.request.team}"
    if caller.has_cancelled and found["search"]["state"] == SearchState.CANCELLED:
        return _differences_of_prefix(name, found, expected)
    return [
        f"I4: {name}: {part} came out as {_cut(_first_other(found[part], expected[part]))}"
        for part in expected
        if found[part] != expected[part]
    ]


def _differences_of_prefix(name: str, found: Outcome, expected: Outcome) -> list[str]:
    problems = []
    if found["generations"] != expected["generations"][: len(found["generations"])]:
        problems.append(f"I4: {name}: generations came out as {found['generations']}")
    for (one, *_), (other, *_) in zip(found["candidates"], expected["candidates"], strict=False):
        generation, index, digest, state, *told = one
        if (generation, index, digest) != other[:3]:
            problems.append(f"I4: {name}: candidate {generation}.{index} is another than undisturbed")
        elif state != "cancelled" and [state, *told] != list(other[3:]):
            problems.append(f"I4: {name}: candidate {generation}.{index} came out as {state}, {_cut(told)}")
    return problems


def _first_other(found: Any, expected: Any) -> str:
    if isinstance(found, dict) and isinstance(expected, dict):
        return ", ".join(
            f"{key} {found.get(key)!r}, not {expected[key]!r}" for key in expected if found.get(key) != expected[key]
        )
    if isinstance(found, list) and isinstance(expected, list):
        pairs = zip(found, expected, strict=False)
        return next((f"{a!r}, not {b!r}" for a, b in pairs if a != b), f"{len(found)} and not {len(expected)}")
    return f"{found!r}, not {expected!r}"


def _cut(told: Any) -> str:
    return str(told)[:300]


def violations_in(engine: Engine, *, has_ended: bool) -> list[str]:
    """Returns what the checker of a live database says, with the proposals made again only where all has ended."""
    with UnitOfWork(engine) as work:
        found = check(work, SETTINGS, served_s=math.inf if has_ended else 0, grace_s=_GRACE_S, replays=has_ended)
    return [str(one) for one in found]


def leftovers(engine: Engine, callers: list[Caller]) -> list[str]:
    """Returns what no checker can know: whether all has ended, and was asked for once."""
    problems = []
    with UnitOfWork(engine) as work:
        n_running = work.session.scalar(select(func.count()).where(Evaluation.state.in_(EVALUATION_OPEN)))
        n_searches = work.session.scalar(select(func.count()).select_from(Search))
    if n_running:
        problems.append(f"I7: {n_running} evaluations are open though all searches have ended")
    if n_searches != len(callers):
        problems.append(f"I1: {n_searches} searches were made of {len(callers)} requests")
    return problems
