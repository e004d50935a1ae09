"""A confirmation as a document, and from rows to it."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import Row

from models import Candidate, Confirmation, ConfirmationMember, Search
from models.states import CONFIRMATION_OPEN, CandidateState, ConfirmationState
from nas.confirmation.arms import Arm
from nas.spec import SearchSpec

_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")

_RATE_OF_ALL: Final = (
    "Candidates and controls have the same seeds, data, optimiser, epochs and learning rate; the rate was found for "
    "the candidate, which favours it."
)
_RATE_OF_EACH: Final = (
    "Candidates and controls have the same seeds, data, optimiser and epochs; every training tries the same learning "
    "rates, and keeps that of the lowest validation loss."
)

_FROZEN: Final = {
    "full-hybrid": "circuit weights stay as drawn, classical layers are trained",
    "quantum-only": "circuit weights stay as drawn, and the classical layers, which the candidate leaves as drawn, "
    "are trained in their place",
    "pure-quantum": "circuit weights stay as drawn, so nothing is trained: whether training the circuit does anything",
}


class IntervalDocument(BaseModel):
    """A mean over seeds with its 95 % interval (Student's t)."""

    mean: float
    low: float | None
    high: float | None
    n: int = Field(description="seeds")


class TrialDocument(BaseModel):
    """One training of one network."""

    seed: int
    epoch: int | None = Field(description="the reported one, by validation loss alone; 0 where nothing is trained")
    validation_loss: float | None
    test_accuracy: float | None
    test_r2: float | None = Field(default=None, description="of a regression, in place of the accuracy")
    test_loss: float | None
    error: str | None = Field(description="why the training did not end, if it diverged")


class ArmDocument(BaseModel):
    """The candidate or one of its controls, with all of its trainings."""

    parameters: int
    trained_parameters: int
    quantum_parameters: int
    two_qubit_gates: int
    hidden: int | None = Field(description="width of the classical net's hidden layer")
    is_void: bool = Field(description="the control would be the candidate itself, and is not trained")
    score: IntervalDocument | None = Field(description="on the test split, over seeds; once the confirmation is over")
    trials: list[TrialDocument]


class ComparisonDocument(BaseModel):
    """The candidate against one control, paired over seeds."""

    control: str = Field(examples=["classical_net"])
    difference: IntervalDocument = Field(description="candidate minus control")
    test: str = Field(examples=["paired t"])
    p_value: float
    p_exact: float = Field(description="of the exact test that flips signs")
    smallest_p_exact: float = Field(description="the least that the exact test can give with so many seeds")
    p_adjusted: float = Field(description="after Holm's correction over all comparisons of the confirmation")
    verdict: str = Field(description="better, no better or worse than the control, at 5 % of `p_adjusted`")


class MemberDocument(BaseModel):
    """A candidate that is confirmed."""

    candidate_id: UUID
    generation: int
    index: int
    digest: str
    genome: dict[str, Any]
    state: CandidateState
    error: dict[str, Any] | None
    learning_rate: float | None = Field(description="of all arms; null where every training tried several")
    arms: dict[str, ArmDocument] = Field(description="candidate, frozen_circuit, no_entanglement, classical_net")
    comparisons: list[ComparisonDocument]
    sentence: str | None = Field(examples=["Test accuracy 0.944 …: no better than its classical control, p = 0.4."])
    engine: dict[str, Any] | None


class TestsDocument(BaseModel):
    """How the comparisons were tested."""

    n_tests: int
    alpha: float
    confidence: float
    test: str
    correction: str
    smallest_p_exact: float | None


class ConfirmationProgress(BaseModel):
    """How far a confirmation is."""

    members: int
    measured: int
    failed: int
    waiting: int


class ConfirmationDocument(BaseModel):
    """Members of a search trained anew beside controls, and tested on the split that no search sees."""

    id: UUID
    search_id: UUID
    number: int = Field(description="1 for the first confirmation of the search; each opens the test split once more")
    earlier_on_data: int = Field(description="confirmations of the team on the same data set before, in any search")
    state: ConfirmationState
    reason: str | None = Field(description="why it ended")
    notice: str | None = Field(description="what keeps it from going on, and what an operator may do")
    revision: int = Field(description="grows with each visible change; the ETag")
    created_at: datetime
    finished_at: datetime | None
    seeds: list[int]
    epochs: int
    dataset: dict[str, Any]
    training: dict[str, Any] = Field(description="of candidates and controls alike, but for what an arm says")
    progress: ConfirmationProgress
    metric: dict[str, Any] | None = Field(examples=[{"name": "test_accuracy", "goal": "maximize", "unit": "share"}])
    rows: dict[str, int] | None = Field(description="of the splits", examples=[{"train": 106, "test": 36}])
    controls: dict[str, str] = Field(description="what each control is")
    notes: list[str] = Field(description="what to keep in mind with these figures")
    tests: TestsDocument | None
    members: list[MemberDocument]


def confirmation_document(
    confirmation: Confirmation,
    search: Search,
    members: list[Row[ConfirmationMember, Candidate]],
    *,
    slots: dict[str, int],
) -> ConfirmationDocument:
    """Returns a confirmation with its members; `slots` are those of live workers, by device class."""
    spec = SearchSpec.model_validate(search.spec)
    report = confirmation.report or {}
    found = next((member.result for member, _ in members if member.result), None)
    reports = report.get("members") or [None] * len(members)
    is_open = confirmation.state in CONFIRMATION_OPEN
    is_stuck = is_open and not slots.get(spec.device)
    return ConfirmationDocument(
        id=confirmation.id,
        search_id=confirmation.search_id,
        number=confirmation.number,
        earlier_on_data=confirmation.n_earlier,
        state=ConfirmationState(confirmation.state),
        reason=confirmation.reason,
        notice=f"no live worker takes {spec.device} work; start one with `hqnas worker --device {spec.device}`"
        if is_stuck
        else None,
        revision=confirmation.revision,
        created_at=confirmation.created_at,
        finished_at=confirmation.finished_at,
        seeds=list(range(confirmation.n_seeds)),
        epochs=confirmation.epochs,
        dataset=search.spec["dataset"],
        training={**search.spec["training"], "epochs": confirmation.epochs, "replicates": confirmation.n_seeds},
        progress=ConfirmationProgress(
            members=confirmation.n_members,
            measured=confirmation.n_settled - confirmation.n_failed,
            failed=confirmation.n_failed,
            waiting=confirmation.n_members - confirmation.n_settled if is_open else 0,
        ),
        metric=found["metric"] if found else None,
        rows=found["rows"] if found else None,
        controls=_controls(spec),
        notes=_notes(confirmation, spec, found),
        tests=report.get("tests"),
        members=[_member(*row, one or {}) for row, one in zip(members, reports, strict=True)],
    )


def _member(member: ConfirmationMember, candidate: Candidate, report: dict[str, Any]) -> MemberDocument:
    result = member.result or {}
    arms, means = result.get("arms", {}), report.get("means", {})
    return MemberDocument(
        candidate_id=candidate.id,
        generation=candidate.generation,
        index=candidate.index,
        digest=candidate.digest,
        genome=candidate.genome,
        state=CandidateState(member.state),
        error=member.error,
        learning_rate=result.get("learning_rate"),
        arms={arm: ArmDocument(**arms[arm], score=means.get(arm)) for arm in Arm if arm in arms},
        comparisons=report.get("comparisons", []),
        sentence=report.get("sentence"),
        engine=result.get("engine"),
    )


def _controls(spec: SearchSpec) -> dict[str, str]:
    trained = "trains" if spec.training.mode == "quantum-only" else "has"
    return {
        "frozen_circuit": _FROZEN[spec.training.mode],
        "no_entanglement": "the circuit without its gates on several wires; all else as in the candidate",
        "classical_net": f"an MLP of one hidden layer, with about as many parameters as the candidate {trained}",
    }


def _notes(confirmation: Confirmation, spec: SearchSpec, found: dict[str, Any] | None) -> list[str]:
    notes = []
    if confirmation.number > 1:
        notes.append(
            f"This is the {_ordinal(confirmation.number)} confirmation of this search: its test split has been looked "
            "at before, and what was chosen after that look is not tested on unseen data."
        )
    n_elsewhere = confirmation.n_earlier - (confirmation.number - 1)
    if n_elsewhere:
        times = "once" if n_elsewhere == 1 else f"{n_elsewhere} times"
        notes.append(f"The test split of this data set was opened {times} before for other searches of the team.")
    smallest = 2.0 ** (1 - confirmation.n_seeds)
    notes += [
        _RATE_OF_ALL if spec.training.learning_rate is None else _RATE_OF_EACH,
        "'No better' says that no advantage was shown; it does not show that there is none.",
        "Intervals are of 95 %, each by itself; p and the verdicts are corrected for all comparisons (Holm), so an "
        "interval may leave out 0 where the verdict is 'no better'.",
        "Intervals and tests are over seeds, that is over initial parameters and the order of minibatches; the test "
        "split is one and the same.",
        f"With {confirmation.n_seeds} seeds the exact test cannot give a p-value below {smallest:.2g}; the t test can, "
        "and assumes that differences scatter normally.",
    ]
    if found:
        n_rows = found["rows"]["test"]
        share = f": one row is {1 / n_rows:.3f} of the accuracy" if found["metric"]["name"] == "test_accuracy" else ""
        notes.append(f"The test split has {n_rows} rows{share}.")
    return notes


def _ordinal(number: int) -> str:
    return _ORDINALS[number - 1] if number <= len(_ORDINALS) else f"{number}th"
