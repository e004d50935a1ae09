"""docs/operations.md is held against the code: settings, commands, events, sentences and containers."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from commands import DOCUMENT, lines
from typer.core import TyperGroup
from typer.main import get_command

from config.settings import Settings
from hqnas.cli.application import app
from hqnas.launcher.home import KNOWN_NAMES

ROOT = DOCUMENT.parents[1]
TEXT = DOCUMENT.read_text(encoding="utf-8")
OURS = [line for line in lines() if line.startswith("hqnas ")]


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """Returns the cells of the rows of the tables in a section, without their heads."""
    bodies = re.findall(r"^\|---.*\n((?:\|.*\n?)+)", section(title), re.MULTILINE)
    return [re.split(r"\s*\|\s*", line.strip("| ")) for body in bodies for line in body.splitlines()]


def test_every_setting_is_told_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    expected = {
        f"HQNAS_{name.upper()}": str(value).replace(str(Path.home()), "~") if value is not None else "none"
        for name, value in Settings().model_dump().items()
    }
    told = {row[0].strip("`"): row[1].strip("`") for row in rows("Settings")}
    assert {name: value.removesuffix(".0") for name, value in expected.items()} == told


@pytest.mark.parametrize("line", OURS)
def test_every_command_exists_with_its_options(line: str) -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    words = shlex.split(line)[1:]
    command = group.get_command(group.make_context("hqnas", [], resilient_parsing=True), words[0])
    assert command is not None
    command.make_context(words[0], words[1:])


def test_every_event_is_one_of_the_code() -> None:
    code = "".join(path.read_text() for folder in ("api", "worker") for path in (ROOT / folder).rglob("*.py"))
    events = {name for row in rows("Health, logs, and what to watch") for name in re.findall(r"`(\w+)`", row[0])}
    assert len(events) > 10
    assert {name for name in events if f'"{name}"' not in code} == set()


def test_every_sentence_of_the_launcher_is_one_of_the_code() -> None:
    code = "".join(path.read_text() for path in (ROOT / "hqnas" / "launcher").glob("*.py"))
    sentences = {text for row in rows("One machine") if len(row) == 2 for text in re.findall(r"`([^`]+)`", row[0])}
    assert len(sentences) > 7
    assert {text for text in sentences if text not in code} == set()


def test_every_part_of_a_home_is_told() -> None:
    assert {row[0].strip("`") for row in rows("One machine") if len(row) == 3} == KNOWN_NAMES


def test_every_process_of_the_containers_is_told() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ours = {service.get("command", [name])[0] for name, service in services.items() if "build" in service}
    told = " ".join(row[0].lower() for row in rows("What runs")) + section("Starting and stopping a cluster")
    assert {name for name in ours if f"hqnas {name}" not in told} == set()
    assert {name for name in ("postgresql", "redis") if name not in told} == set()
    assert all(services[name]["restart"] == "unless-stopped" for name in ("api", "controller", "worker"))
