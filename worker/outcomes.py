"""What comes out of computing: of each claim a result, or the error that it met."""

import json
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
import torch

from models.evaluations import Claim
from nas.confirmation.trial import Confirmed, confirm
from nas.evaluation import Evaluation, evaluate_bundle
from nas.space import Genome
from nas.spec import Protocol
from nas.spec.confirmation import CONFIRMATION, ConfirmationProtocol

log = structlog.get_logger()

#: Exit status of a process whose GPU can do nothing more for it.
_DEVICE_LOST: Final = 70


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result or error of an evaluation, the other None."""

    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    weights: bytes | None = None  #: beside a result, of what was fitted


#: Yields each claim with its outcome, in any order.
Compute = Callable[[Sequence[Claim]], Iterable[tuple[Claim, Outcome]]]

#: What computing gives: a measurement of a search or of a confirmation, or the error that it met.
Found = Evaluation | Confirmed | Exception


def compute(claims: Sequence[Claim]) -> Iterator[tuple[Claim, Outcome]]:
    """Yields each claim with its outcome: a failure is data, whatever it is that failed."""
    for protocol, members in _of_one_kind(claims):
        for claim, found in zip(members, _evaluate(protocol, [one.genome for one in members]), strict=True):
            yield claim, _outcome(found)


def _of_one_kind(claims: Sequence[Claim]) -> Iterator[tuple[dict[str, Any], list[Claim]]]:
    """Yields claims of one protocol and qubit count; of what the dispatcher bundles, that is all at once."""
    kinds: dict[str, list[Claim]] = {}
    for claim in claims:
        kinds.setdefault(json.dumps([claim.protocol, claim.genome.get("qubits")], sort_keys=True), []).append(claim)
    for members in kinds.values():
        yield members[0].protocol, members


def _evaluate(protocol: dict[str, Any], genomes: Sequence[dict[str, Any]]) -> list[Found]:
    try:
        return _measure(protocol, [Genome.from_json(one) for one in genomes])
    except Exception as failure:  # the edge of the process: whatever a candidate does stays its own
        _end_with_device(protocol, failure)
        if len(genomes) == 1:
            return [failure]
    return [found for genome in genomes for found in _evaluate(protocol, [genome])]


def _end_with_device(protocol: dict[str, Any], failure: Exception) -> None:
    """Ends the process, which is blamed, if the failure was of its GPU: nothing on it would succeed any more."""
    if protocol.get("device") != "gpu":
        return
    try:
        torch.cuda.synchronize()
    except (RuntimeError, AssertionError) as lost:  # the latter of a torch without CUDA
        log.error("device_lost", failure=str(failure), error=str(lost))
        os._exit(_DEVICE_LOST)


def _measure(protocol: dict[str, Any], genomes: list[Genome]) -> list[Found]:
    if protocol.get("kind") == CONFIRMATION:
        terms = ConfirmationProtocol.model_validate(protocol)
        return [confirm(genome, terms) for genome in genomes]
    return [*evaluate_bundle(genomes, Protocol.model_validate(protocol))]


def _outcome(found: Found) -> Outcome:
    failure = found
    if not isinstance(found, Exception):
        try:
            result = found.to_json()
            json.dumps(result, allow_nan=False)
        except Exception as problem:  # as above
            failure = problem
        else:
            return Outcome(result=result, weights=found.weights if isinstance(found, Evaluation) else None)
    assert isinstance(failure, Exception)
    error = {
        "class": type(failure).__name__,
        "message": _storable(str(failure)) or type(failure).__name__,
        "traceback": _storable("".join(traceback.format_exception(failure))),
    }
    return Outcome(error=error)


def _storable(text: str) -> str:
    """Returns the text without what no column of PostgreSQL takes: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "�").encode("utf-8", errors="replace").decode()
