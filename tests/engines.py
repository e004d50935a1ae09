"""The engines at each of their precisions, for tests that hold all of them to the same."""

from typing import get_args

import pytest
import torch

from nas.engines import ENGINES, Engine, make_engine
from nas.spec.engines import Precision

#: In complex128, tens of gates round at 1e-16 each; single precision rounds at 6e-8.
TOLERANCE: dict[str, float] = {"complex128": 1e-10, "complex64": 1e-5}

CASES = [
    pytest.param((name, precision), id=f"{name}-{precision}", marks=pytest.mark.gpu if name.endswith("gpu") else ())
    for name in ENGINES
    for precision in reversed(get_args(Precision))
    if (name, precision) != ("default.qubit", "complex64")  # which specs refuse
]


def make_case(case: tuple[str, Precision]) -> Engine:
    """Returns the engine, or skips the test where there is no card for it."""
    name, precision = case
    if name.endswith("gpu") and not torch.cuda.is_available():
        pytest.skip("no GPU")
    return make_engine(name, precision)
