"""What a search tried, made again from its seed: every generation's genomes in order, and who lived on (I4)."""

from collections.abc import Iterator, Sequence
from itertools import islice
from uuid import UUID

from models import Candidate, Search
from models.states import SearchState
from nas.algorithms import Member, propose, select
from nas.space import Genome
from nas.spec import SearchSpec
from worker.check.findings import Findings
from worker.check.points import Point

#: A candidate, and its point if it was evaluated.
Settled = tuple[Candidate, Point | None]


class Proposals:
    """The course of one search's proposals; `check` a generation, `complete` it once it was completed, then `end`."""

    def __init__(self, search: Search, spec: SearchSpec, findings: Findings) -> None:
        self._search = search
        self._spec = spec
        self._findings = findings
        self._seen: set[str] = set()
        self._population: list[tuple[UUID, Member]] = []
        self._last: int | None = None
        self._completed: int | None = None
        self._grid: Iterator[Genome] | None = None

    @property
    def survivors(self) -> set[UUID]:
        """Who lives on after the last completed generation."""
        return {candidate_id for candidate_id, _ in self._population}

    def check(self, number: int, candidates: Sequence[Candidate]) -> None:
        """Holds the candidates of a generation to what an undisturbed controller proposes there."""
        expected = self._proposed(number)
        found = [candidate.digest for candidate in candidates]
        ids = [
            candidate.id for candidate, digest in zip(candidates, expected, strict=False) if candidate.digest != digest
        ]
        if found != expected:
            claim = "generation {number} is not what its seed gives: {difference}"
            difference = (
                f"{len(found)} candidates in the place of {len(expected)}"
                if len(found) != len(expected)
                else f"{len(ids)} of its {len(found)} genomes are others, or in another order"
            )
            self._findings.violation("I4", claim, self._search.id, *ids, number=number, difference=difference)
        for candidate in candidates:
            if candidate.digest in self._seen:
                claim = "candidate {place} has a genome that was proposed before"
                place = f"{number}.{candidate.index}"
                self._findings.violation("I1", claim, self._search.id, candidate.id, place=place)
            self._seen.add(candidate.digest)
        self._last = number

    def complete(self, number: int, settled: Sequence[Settled]) -> None:
        """Selects who lives on, of the population so far and a generation that is settled."""
        members = [*self._population, *((one.id, _member(one, point)) for one, point in settled)]
        chosen = select(self._spec, generation=number, members=[member for _, member in members])
        self._population = [members[index] for index in chosen]
        self._completed = number

    def end(self) -> None:
        """Holds a search that finished of itself to having tried all that it should."""
        search, spec = self._search, self._spec
        is_overdue = (
            search.deadline_at is not None
            and search.finished_at is not None
            and search.finished_at >= search.deadline_at
        )
        if search.state != SearchState.FINISHED or is_overdue or self._last is None:
            return
        if self._completed != self._last:
            claim = "the search is finished, and its generation {number} is not recorded as completed"
            self._findings.violation("I1", claim, search.id, number=self._last)
        elif spec.algorithm.name != "grid" and self._last + 1 == spec.n_generations:
            return
        elif len(self._seen) != spec.budget.evaluations and self._proposed(self._last + 1):
            claim = "the search finished after generation {number}, and its seed gives more"
            self._findings.violation("I4", claim, search.id, number=self._last)

    def _proposed(self, number: int) -> list[str]:
        if self._spec.algorithm.name == "grid":
            n = min(self._spec.algorithm.population, self._spec.n_planned - len(self._seen))
            return [genome.digest for genome in islice(self._points(), n)]
        found = propose(
            self._spec,
            generation=number,
            survivors=[member for _, member in self._population],
            seen=self._seen,
            n_proposed=len(self._seen),
        )
        return [genome.digest for genome in found]

    def _points(self) -> Iterator[Genome]:
        """Returns the rest of the grid, which is gone through once: to find where a generation begins takes as long."""
        if self._grid is None:
            n = self._search.n_candidates + self._spec.algorithm.population
            algorithm = self._spec.algorithm.model_copy(update={"population": n})
            whole = self._spec.model_copy(update={"algorithm": algorithm})
            self._grid = iter(propose(whole, generation=0, survivors=[], seen=set(), n_proposed=0))
        return self._grid


def _member(candidate: Candidate, point: Point | None) -> Member:
    genome = Genome.from_json(candidate.genome)
    if point is None:
        return Member(genome, losses=None, violation=candidate.violation or 0.0)
    return Member(genome, losses=point.losses, violation=point.violation, std_errors=point.std_errors)
