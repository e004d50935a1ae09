"""Names that a spec gives engines and precisions."""

from typing import Literal

EngineName = Literal["batched", "default.qubit", "lightning.qubit", "lightning.gpu"]
Precision = Literal["complex64", "complex128"]
