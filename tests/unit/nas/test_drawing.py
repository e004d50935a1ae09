"""Drawings of circuits."""

import math

import pytest

from nas.circuits import AMPLITUDE, GATES, Angle, Circuit, Operation
from nas.circuits.drawing import angle_text, draw


def lines(text):
    return text.strip("\n").split("\n")


def test_a_layer_is_drawn_as_in_the_docstring():
    gates = [Operation("ry", (wire,), Angle(features=(wire % 2,))) for wire in range(3)]
    gates += [Operation("ry", (wire,), Angle(weight=wire)) for wire in range(3)]
    gates += [Operation("cx", (0, 1)), Operation("cx", (1, 2))]
    expected = """
0: ──RY(x0)──RY(w0)──●─────
                     │
1: ──RY(x1)──RY(w1)──X──●──
                        │
2: ──RY(x0)──RY(w2)─────X──

gives ⟨Z0⟩ ⟨Z1⟩
"""
    assert lines(draw(Circuit(3, tuple(gates), ((("z", 0),), (("z", 1),))))) == lines(expected)


def test_a_wire_that_a_gate_passes_by_is_crossed():
    expected = """
0: ──X──
     │
1: ──┼──
     │
2: ──●──
"""
    assert lines(draw(Circuit(3, (Operation("cx", (2, 0)),), ()))) == lines(expected)


def test_a_gate_between_the_wires_of_another_has_its_own_column():
    drawing = lines(draw(Circuit(3, (Operation("cx", (0, 2)), Operation("h", (1,))), ())))
    assert drawing[2] == "1: ──┼──H──"


def test_an_empty_circuit_is_bare_wires():
    assert draw(Circuit(2, (), ())) == "0: ──\n\n1: ──"


def test_a_preparation_names_its_features():
    drawing = lines(draw(Circuit(2, (Operation(AMPLITUDE, (0, 1), features=(0, 3)),), ())))
    assert drawing[0] == "0: ──ψ(x0…x3)──"


def test_a_symmetric_gate_stands_on_both_wires():
    drawing = lines(draw(Circuit(2, (Operation("rzz", (0, 1), Angle(features=(0, 1))),), ())))
    assert "ZZ" in drawing[0]
    assert "ZZ(x0·x1)" in drawing[2]


@pytest.mark.parametrize("name", GATES)
def test_every_gate_has_a_drawing(name):
    gate = GATES[name]
    operation = Operation(name, tuple(range(gate.n_wires)), Angle(weight=0) if gate.has_angle else None)
    drawing = draw(Circuit(gate.n_wires, (operation,), ()))
    assert gate.symbol in drawing
    assert drawing.count("●") == gate.n_controls


@pytest.mark.parametrize(
    ("angle", "text"),
    [
        (Angle(weight=3), "w3"),
        (Angle(features=(0, 2)), "x0·x2"),
        (Angle(-1.0, weight=0), "-w0"),
        (Angle(math.pi, features=(1,)), "π·x1"),
        (Angle(-3 * math.pi / 4), "-3π/4"),
        (Angle(0.0), "0"),
        (Angle(0.123456), "0.1235"),
    ],
)
def test_an_angle_is_written_as_one_reads_it(angle, text):
    assert angle_text(angle) == text


def deep():
    gates = [Operation("ry", (wire,), Angle(weight=8 * layer + wire)) for layer in range(9) for wire in range(8)]
    return Circuit(8, tuple(gates), tuple(((axis, wire),) for axis in "xyz" for wire in range(8)))


@pytest.mark.parametrize("width", [30, 60, 100])
def test_no_line_is_longer_than_the_width(width):
    assert max(map(len, draw(deep(), width=width).split("\n"))) <= width


def test_a_wrapped_drawing_has_every_weight_once():
    drawing = draw(deep(), width=40)
    assert all(drawing.count(f"(w{index})") == 1 for index in range(72))


def test_all_wires_end_at_the_same_column():
    wires = [line for line in draw(deep(), width=200).split("\n") if "RY" in line]
    assert len({len(line) for line in wires}) == 1
