"""docs/reliability.md has every scenario, and every test that it names is there."""

import ast
from pathlib import Path

import pytest
from faults.reliability import DOCUMENT, link, render
from faults.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
SHOWN = [shown for scenario in SCENARIOS for shown in scenario.shown]


@pytest.mark.parametrize("by", [shown.by for shown in SHOWN])
def test_a_named_test_exists(by: str) -> None:
    path, _, name = by.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_scenario_is_shown_or_said_to_be_absent() -> None:
    assert [one.fault for one in SCENARIOS if bool(one.shown) == (one.absent is not None)] == []


def test_the_document_has_every_scenario_and_its_tests() -> None:
    written = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    missing = [one.fault for one in SCENARIOS if f"| {one.fault} |" not in written]
    assert missing == []
    assert [one.by for one in SHOWN if link(one) not in written] == []


def test_a_recovery_stands_in_the_table_with_median_worst_and_number() -> None:
    (timed, *_) = [one for one in SHOWN if one.limit is not None]
    text = render({timed.by: [1.0, 2.0, 9.0]}, measured_on="a machine")
    assert f"| {timed.limit:g} {timed.unit} | 2.00 {timed.unit} | 9.00 {timed.unit} | 3 |" in text
    assert "not measured" in text
