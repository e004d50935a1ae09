"""The documents that the API answers with."""

from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field

from models.states import CandidateState, EvaluationState, SearchState, StageState
from nas.spec.fidelity import StageKind

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """Part of a list; `next_cursor` leads to the next part and is null at the end."""

    items: list[T]
    next_cursor: str | None = Field(description="pass it as `cursor` to go on")


class ObjectiveDocument(BaseModel):
    """An objective with the direction that the search takes it in."""

    metric: str = Field(examples=["validation_accuracy"])
    goal: str = Field(examples=["maximize"])
    unit: str = Field(examples=["share"])


class ProgressDocument(BaseModel):
    """How far a search is."""

    generation: int | None = Field(description="being evaluated, from 0")
    generations: int = Field(description="most that there may be; once nothing more is proposed, those that there were")
    candidates: int = Field(description="proposed so far")
    evaluated: int = Field(description="measured so far, reused results included")
    failed: int = Field(description="that could not be measured")
    stopped: int = Field(description="at an early stage; neither evaluated nor failed")
    waiting: int = Field(description="for a result")
    cached: int = Field(description="whose result was there before they were proposed")
    planned: int = Field(
        description="most candidates that the search may propose; once nothing more is proposed, those that it proposed"
    )
    evaluations_per_second: float | None = Field(description="over the last minute")
    time_left_s: float | None = Field(description="at that rate, in seconds")
    hypervolume: float | None = Field(description="of the values found, up to the reference point")
    front_size: int


class RoundDocument(BaseModel):
    """A completed round of re-evaluation, at the end of a search that asks for it."""

    candidates: int = Field(description="measured again in it")
    entered: int = Field(description="candidates that came to the front by it")
    left: int = Field(description="candidates that left the front by it")
    front_size: int
    hypervolume: float | None


class SearchSummary(BaseModel):
    """A search without its spec."""

    id: UUID
    name: str = Field(examples=["wine-hybrid"])
    state: SearchState
    reason: str | None = Field(description="why the search ended")
    notice: str | None = Field(
        description="what keeps it from going on and what an operator may do, or that its front is measured again"
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    revision: int = Field(description="grows with each visible change; the ETag of what is polled")
    objectives: list[ObjectiveDocument]
    progress: ProgressDocument
    reference_point: dict[str, float] | None = Field(description="of the hypervolume, kept for the search's life")
    engines: dict[str, str] | None = Field(
        description="by qubit count, chosen when the search begins and kept for its life",
        examples=[{"4": "batched", "18": "lightning.qubit"}],
    )
    reevaluation: list[RoundDocument] | None = Field(
        description="rounds of `algorithm.reevaluate`; null before the generations are done, and without it"
    )


class SearchDocument(SearchSummary):
    """A search with its spec, defaults filled in."""

    spec: dict[str, Any]


class StopDocument(BaseModel):
    """Why a candidate was not evaluated to the end."""

    stage: int = Field(description="at which, from 0")
    epochs: int = Field(description="that it was trained for there")
    reason: str = Field(examples=["dominated by 0.3, with 2.4 standard errors to spare in every objective"])
    by: str | None = Field(description="place of the candidate that dominates it", examples=["0.3"])
    clearance: float | None = Field(description="of that candidate, in standard errors of the difference")


class CandidateDocument(BaseModel):
    """An architecture proposed in a search."""

    id: UUID
    search_id: UUID
    generation: int
    index: int
    state: CandidateState
    digest: str = Field(description="identity of the architecture: SHA-256 of the canonical genome")
    genome: dict[str, Any] = Field(
        description="canonical: one rotations, entangler and topology a layer, or none of them beside a `template`"
    )
    objectives: dict[str, float] | None = Field(examples=[{"validation_accuracy": 0.97, "expressibility": 0.02}])
    violation: float | None = Field(description="of the constraints together; 0 where all hold")
    metrics: dict[str, Any] = Field(
        description="by name: value, std_error (a number, or 'exact'), unit, version, and per_replicate where it was "
        "measured more than once",
        examples=[{"two_qubit_gates": {"value": 6, "std_error": "exact", "unit": "count", "version": 1}}],
    )
    is_on_front: bool
    error: dict[str, Any] | None = Field(description="why there is no result: class and message")
    stopped: StopDocument | None = Field(description="of a candidate that an early stage stopped; metrics are of then")


class StageDocument(BaseModel):
    """One of several evaluations of a candidate."""

    number: int
    kind: StageKind = Field(description="early; full: of the whole spec; again: with more samples, for a front")
    epochs: int = Field(description="that each replicate is trained for; 0 without training")
    state: StageState
    metrics: dict[str, Any] | None = Field(description="by name, as measured at this stage")
    error: dict[str, Any] | None
    evaluation_id: UUID
    is_cached: bool


class EvaluationDocument(BaseModel):
    """The measurement behind a candidate, which other searches of the team may share."""

    id: UUID
    state: EvaluationState
    attempt: int
    engine: dict[str, Any] | None
    data: dict[str, Any] | None = Field(
        description="rows of the splits, scaling, and how features became the circuit's inputs",
        examples=[{"source_features": 64, "model_features": 8, "reduction": "principal components: 8"}],
    )
    training: dict[str, Any] | None = Field(
        description="learning rate, epochs run and reported of each replicate, and the sweep if there was one"
    )
    worker: str | None
    seconds: float | None = Field(description="from claim to record, of the last attempt")
    is_cached: bool


class CandidateDetail(CandidateDocument):
    """A candidate with its circuit, training curves and measurement. Metrics come with protocol and details."""

    circuit: dict[str, Any]
    drawing: str
    pennylane: str = Field(description="Python source that builds the network")
    curves: list[list[dict[str, Any]]] = Field(description="one list of epochs a replicate")
    evaluation: EvaluationDocument
    stages: list[StageDocument] = Field(description="of a candidate with several evaluations; `evaluation` is the last")


class FrontDocument(BaseModel):
    """The non-dominated feasible candidates found so far."""

    search_id: UUID
    revision: int
    objectives: list[ObjectiveDocument]
    hypervolume: float | None
    reference_point: dict[str, float] | None
    items: list[CandidateDocument]


class GenerationDocument(BaseModel):
    """A completed step of the algorithm."""

    number: int
    evaluations: int = Field(description="candidates settled up to and with it")
    hypervolume: float | None
    finished_at: datetime


class WorkerDocument(BaseModel):
    """A live worker."""

    name: str
    device: str
    slots: int
    hardware: dict[str, Any]
    versions: dict[str, str]
    calibration: dict[str, Any] | None = Field(
        description="seconds of a training step by engine and qubits, and the gains of bundles, as measured there"
    )
    started_at: datetime
    beat_at: datetime


class HealthDocument(BaseModel):
    """The process answers."""

    status: str = Field(examples=["ok"])
    version: str


class ReadinessDocument(BaseModel):
    """Whether requests can be served, and work done."""

    status: str = Field(description="ready; degraded: served, but see problems; unavailable")
    problems: list[str] = Field(default=[], description="why it is not ready, each in a sentence")
    database: bool
    schema_is_current: bool
    broker: bool | None = Field(
        default=None, description="whether a controller reaches it, for the API never asks; null if no controller lives"
    )
    controllers: int = Field(default=0, description="live ones")
    slots: dict[str, int] = Field(default={}, description="of live workers, by device class")
