"""Every engine against one simulator run by run, over random circuits, bundles and shapes.

A longer search: ENGINE_EXAMPLES=5000 .venv/bin/python -m pytest tests/contract/test_engine_properties.py
"""

import os

import pytest
import torch
from engines import CASES, TOLERANCE, make_case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import MAX_FEATURES, MAX_WEIGHTS, bundles
from torch import Tensor

from nas.circuits import Circuit
from nas.engines import Engine, make_engine

N_EXAMPLES = int(os.environ.get("ENGINE_EXAMPLES", "60"))
REFERENCE = make_engine("lightning.qubit")


@pytest.fixture(params=CASES, scope="module")
def engine(request) -> Engine:
    return make_case(request.param)


@st.composite
def tables(draw, shapes, width):
    """Draws a tensor of one of these shapes and that width."""
    shape = (*draw(st.sampled_from(shapes)), width)
    # A seed and not the numbers: a failure is rarely about one of them, and they are many.
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    return 3.0 * torch.rand(shape, dtype=torch.float64, generator=generator) - 1.5


@st.composite
def problems(draw):
    """Draws circuits with weights and features whose leading axes broadcast to (C, groups, rows)."""
    circuits = draw(bundles())
    n, groups, rows = len(circuits), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    weights = draw(tables([(n, groups, 1), (1, groups, 1), (n, 1), (n, groups, rows)], MAX_WEIGHTS))
    features = draw(tables([(n, groups, rows), (1, 1, rows), (n, rows), (1, rows)], MAX_FEATURES))
    return circuits, weights, features


def run_by_run(circuits: list[Circuit], weights: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Returns states and zero-padded expectations of a bundle, each run simulated alone by the reference."""
    n_axes = max(weights.ndim, features.ndim) - 2

    def aligned(values):
        return values.reshape(values.shape[0], *[1] * (n_axes + 2 - values.ndim), *values.shape[1:])

    weights, features = aligned(weights), aligned(features)
    leading = torch.broadcast_shapes((len(circuits),) + (1,) * n_axes, weights.shape[:-1], features.shape[:-1])
    weights = weights.expand(*leading, -1).reshape(len(circuits), -1, weights.shape[-1])
    features = features.expand(*leading, -1).reshape(len(circuits), -1, features.shape[-1])
    most = max(len(circuit.observables) for circuit in circuits)
    states, values = [], []
    for circuit, rows in zip(circuits, zip(weights, features, strict=True), strict=True):
        for w, x in zip(*rows, strict=True):
            states.append(REFERENCE.states(circuit, w[None].detach(), x[None].detach())[0])
            found = REFERENCE.expectations(circuit, w[None], x[None])[0]
            values.append(torch.nn.functional.pad(found, (0, most - len(found))))
    return torch.stack(states).view(*leading, -1), torch.stack(values).view(*leading, -1)


def gradients(values: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    """Returns the gradients of a sum in which every value has a weight of its own."""
    cotangent = torch.linspace(-1.0, 0.7, values.numel(), dtype=torch.float64).view(values.shape)
    total = (values * cotangent).sum() + sum(0.0 * leaf.sum() for leaf in leaves)
    return torch.autograd.grad(total, leaves)


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Compares, with the tolerance for numbers up to 1 and in proportion for larger ones."""
    largest = max(1.0, expected.abs().max().item()) if expected.numel() else 1.0
    torch.testing.assert_close(found.to(expected.dtype), expected, rtol=0.0, atol=tolerance * largest)


@settings(max_examples=N_EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(problems())
def test_states_values_and_gradients_are_those_of_each_run_alone(engine, problem):
    circuits, weights, features = problem
    tolerance = TOLERANCE[engine.precision]
    leaves = weights.requires_grad_(), features.requires_grad_()
    states, values = run_by_run(circuits, *leaves)
    found = engine.bundle_expectations(circuits, *leaves)
    assert_near(engine.bundle_states(circuits, *leaves), states, tolerance)
    assert_near(found, values, tolerance)
    for ours, theirs in zip(gradients(found, *leaves), gradients(values, *leaves), strict=True):
        assert_near(ours, theirs, tolerance)
