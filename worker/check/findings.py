"""What a check finds: violations of the invariants, and notes on what could not be checked or wants attention."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

#: What must hold, as a person is told it.
INVARIANTS: Final = {
    "I1": "each candidate stands once, and ends in one final state",
    "I2": "a result is that of the evaluation's last attempt",
    "I3": "each result is told once, and the front is the non-dominated set of all that was told",
    "I4": "candidates are those of an undisturbed run with the same seed",
    "I5": "the budget is exact",
    "I6": "no team has another's rows",
    "I7": "nothing is left lying: no lease, doorbell or search is forgotten",
}

#: Ids that one violation names at most.
_MOST_IDS: Final = 50


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold, the first case of it in a sentence, and the ids of all that it concerns."""

    invariant: str
    message: str
    ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.invariant}: {self.message} ({', '.join(self.ids)})"


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, and what came out."""

    violations: tuple[Violation, ...]
    notes: tuple[str, ...]  #: no violations: what was not checked, and what stands still because nobody serves it
    n_searches: int
    n_candidates: int
    n_evaluations: int


@dataclass(slots=True)
class _Cases:
    """One claim that fails for one subject, in one case or more."""

    message: str
    ids: dict[str, None] = field(default_factory=dict)
    n: int = 0


class Findings:
    """Collects violations; the cases of one claim and subject become one, so that a broken table stays readable."""

    def __init__(self) -> None:
        self._cases: dict[tuple[str, str, UUID], _Cases] = {}
        self._notes: dict[str, list[UUID]] = {}

    def violation(self, invariant: str, claim: str, subject: UUID, *others: UUID | None, **values: Any) -> None:
        """Adds a case.

        Args:
            invariant: a key of INVARIANTS.
            claim: what does not hold, with a place for each value.
            subject: the search, or the evaluation where no search is concerned.
            others: further ids of this case; None is left out.
            values: of the claim's places.
        """
        assert invariant in INVARIANTS
        cases = self._cases.setdefault((invariant, claim, subject), _Cases(claim.format(**values)))
        cases.n += 1
        if len(cases.ids) < _MOST_IDS:
            cases.ids |= {str(one): None for one in (subject, *others) if one is not None}

    def note(self, text: str, *searches: UUID) -> None:
        """Adds a note, once; where it says `{searches}`, one for all searches that it is said of."""
        self._notes.setdefault(text, []).extend(searches)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """All violations, by invariant, and then in the order in which they were met."""
        found = [
            Violation(invariant, _with_others(cases), tuple(cases.ids))
            for (invariant, _, _), cases in self._cases.items()
        ]
        return tuple(sorted(found, key=lambda one: one.invariant))

    @property
    def notes(self) -> tuple[str, ...]:
        """All notes."""
        return tuple(_of_searches(text, ids) for text, ids in self._notes.items())


def _of_searches(text: str, ids: list[UUID]) -> str:
    of = f"search {ids[0]}" if len(ids) == 1 else f"{len(ids)} searches, such as {ids[0]}," if ids else ""
    return text.replace("{searches}", of)


def _with_others(cases: _Cases) -> str:
    return cases.message if cases.n == 1 else f"{cases.message}; and {cases.n - 1} more like it"


def listed(values: Iterable[object]) -> str:
    """Returns values side by side."""
    return ", ".join(map(str, values)) or "none"
