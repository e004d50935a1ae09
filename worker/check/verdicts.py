"""The stages of a candidate: that they are those of its search, and their verdicts those that the rows give (I4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from models import Candidate, Search, Stage
from models.audit import Source, StagesOfOne
from models.states import StageState
from nas.algorithms import Rival, judge
from nas.spec import METRICS, SearchSpec
from nas.spec.fidelity import StageKind, again_plan, stage_plans
from worker.check.findings import Findings
from worker.check.points import Metrics


@dataclass(frozen=True, slots=True)
class FrontMember:
    """A member of the front as it stood before a generation: what it was told, in the end and at each stage."""

    candidate_id: UUID
    place: tuple[int, int]
    final: Metrics
    at_stages: tuple[Metrics, ...]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A stage as the spec has it."""

    kind: StageKind
    epochs: int
    protocol_digest: str


class Verdicts:
    """Judges the stages of one search's candidates again."""

    def __init__(self, search: Search, spec: SearchSpec, findings: Findings) -> None:
        self._search = search
        self._spec = spec
        self._findings = findings
        self._plans: dict[str, tuple[_Planned, ...]] = {}

    def check(self, candidate: Candidate, source: Source, stages: StagesOfOne, rivals: Sequence[FrontMember]) -> None:
        """Holds a candidate's stages to the plan of its search, and their verdicts to its generation's rivals."""
        self._check_plan(candidate, source, stages)
        self._check_verdicts(candidate, [stage for stage, _ in stages if stage.kind == StageKind.EARLY], rivals)

    def _check_plan(self, candidate: Candidate, source: Source, stages: StagesOfOne) -> None:
        place, ids = f"{candidate.generation}.{candidate.index}", (self._search.id, candidate.id)
        *early, full, again = self._plans_of(candidate)
        told = [(stage.kind, stage.epochs, stage.metrics, of_stage) for stage, of_stage in stages]
        if not told:
            kinds = [full]
            told = [(full.kind, full.epochs, candidate.metrics, source)]
        else:
            n_first = sum(kind != StageKind.AGAIN for kind, *_ in told)
            kinds = [*[*early, full][:n_first], *[again] * (len(told) - n_first)]
        if [(kind, epochs) for kind, epochs, _, _ in told] != [(plan.kind, plan.epochs) for plan in kinds]:
            claim = "the stages of candidate {place} are not those of its search"
            self._findings.violation("I4", claim, *ids, place=place)
            return
        for plan, (_, _, metrics, evaluation) in zip(kinds, told, strict=True):
            # A metric whose definition has changed since is one of another protocol.
            is_current = metrics and all(METRICS[name].version == one.get("version") for name, one in metrics.items())
            if is_current and evaluation.protocol_digest != plan.protocol_digest:
                claim = "candidate {place} was measured under another protocol than its search's"
                self._findings.violation("I4", claim, *ids, evaluation.id, place=place)

    def _plans_of(self, candidate: Candidate) -> tuple[_Planned, ...]:
        """Returns the plans of its stages: the early ones, the full one, and that of a second look."""
        qubits = str(candidate.genome["qubits"])
        if qubits not in self._plans:
            engine = (self._search.engines or {}).get(qubits)
            plans = stage_plans(self._spec, engine=engine)
            is_looked_at = self._spec.algorithm.reevaluate is not None
            plans = (*plans, again_plan(self._spec, engine=engine) if is_looked_at else plans[-1])
            self._plans[qubits] = tuple(_Planned(one.kind, one.epochs, one.protocol.digest) for one in plans)
        return self._plans[qubits]

    def _check_verdicts(self, candidate: Candidate, early: Sequence[Stage], rivals: Sequence[FrontMember]) -> None:
        place = f"{candidate.generation}.{candidate.index}"
        known: dict[str, Any] = {}
        for stage in early:
            if stage.state not in (StageState.PASSED, StageState.STOPPED):
                return
            known |= stage.metrics or {}
            stop = judge(self._spec, known, [_rival(one, stage.number) for one in rivals])
            said = candidate.stopped if stage.state == StageState.STOPPED else None
            found = None if said is None else (said.get("stage"), said.get("by"))
            expected = None if stop is None else (stage.number, None if stop.by is None else list(stop.by))
            if found != expected:
                claim = "at stage {number}, candidate {place} was {found}, and the front before it gives {expected}"
                words = {"found": _in_words(found), "expected": _in_words(expected)}
                self._findings.violation(
                    "I4", claim, self._search.id, candidate.id, number=stage.number, place=place, **words
                )
                return


def _rival(member: FrontMember, number: int) -> Rival:
    at_stage = member.at_stages[number] if number < len(member.at_stages) else {}
    return Rival(member.place, member.final, at_stage)


def _in_words(verdict: tuple[Any, Any] | None) -> str:
    if verdict is None:
        return "passed"
    number, by = verdict
    return f"stopped at stage {number}" + ("" if by is None else f" by {by[0]}.{by[1]}")
