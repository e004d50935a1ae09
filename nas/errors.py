"""Why an evaluation can fail. A failed evaluation is data: its class and message are kept with it.

    EvaluationError
    ├── EngineError
    │   ├── EngineUnavailable    the engine or its hardware is not on this machine; another worker may have it
    │   ├── DeviceTooSmall       the state vectors do not fit the memory that is free; a larger machine may hold them
    │   └── CircuitTooWide       the state vector is beyond what the engine holds
    ├── UndefinedMetric          the quantity has no value for this candidate (no live parameter, say)
    ├── BeyondMetric             the candidate is larger than the metric is bounded to
    ├── UnsupportedMetric        the protocol asks for another version of a definition than is installed here
    ├── TrainingDiverged         the loss became infinite or not a number
    └── UnbuildableGenome        no network can be made of the genome on this data set (in `nas.circuits`)

All of these but `EngineUnavailable`, `DeviceTooSmall` and `UnsupportedMetric` are properties of the candidate: trying
again gives the same error.
"""


class EvaluationError(Exception):
    """Root of all failures of an evaluation."""


class EngineError(EvaluationError):
    """An engine cannot do what was asked of it."""


class EngineUnavailable(EngineError):
    """The engine, or the hardware that it needs, is missing on this machine."""


class DeviceTooSmall(EngineError):
    """The memory that is free, on the card or on the machine, is less than the state vectors take."""


class CircuitTooWide(EngineError):
    """The circuit has more qubits than the engine holds."""


class UndefinedMetric(EvaluationError):
    """A metric has no value for this candidate."""


class BeyondMetric(EvaluationError):
    """A metric whose cost is bounded is asked of a candidate beyond that bound."""


class UnsupportedMetric(EvaluationError):
    """The definition that a protocol asks for is not the one that is installed."""


class TrainingDiverged(EvaluationError):
    """The training loss stopped being a finite number."""
