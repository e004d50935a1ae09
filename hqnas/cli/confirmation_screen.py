"""What `hqnas confirm` shows: a block of four networks for each member, and what can be said of it."""

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hqnas.cli.screen import plain
from hqnas.client.confirmation import Arm, Comparison, Confirmation, ConfirmedMember, Interval
from hqnas.export.genes import architecture

_STYLE_OF_VERDICT: Final = {"better": "green", "no better": "", "worse": "red"}
_STYLE_OF_STATE: Final = {"finished": "green", "failed": "red", "cancelled": "yellow"}


def progress_text(confirmation: Confirmation) -> Text:
    """Returns how far a confirmation is, in one line."""
    facts = [
        f"confirmation {confirmation.number} {confirmation.state}",
        f"{confirmation.n_measured} of {confirmation.n_members} members measured",
        *([f"{confirmation.n_failed} failed"] if confirmation.n_failed else []),
        *([confirmation.notice] if confirmation.notice else []),
    ]
    return plain("  ".join(facts))


def confirmation_view(confirmation: Confirmation) -> RenderableType:
    """Returns a confirmation: a table of all networks, a sentence for each member, and what to keep in mind."""
    heading = Text.assemble(
        ("● ", _STYLE_OF_STATE.get(confirmation.state, "cyan")),
        (f"confirmation {confirmation.number}", "bold"),
        f" of search {confirmation.search_id} {confirmation.state}",
    )
    if confirmation.reason:
        heading.append_text(plain(f": {confirmation.reason}"))
    parts: list[RenderableType] = [heading, Text(_facts(confirmation), "dim")]
    if not confirmation.has_ended:
        parts += [progress_text(confirmation)]
    measured = [member for member in confirmation.members if member.arms]
    if measured:
        parts += ["", _table(measured, confirmation)]
    sentences = [_sentence(member) for member in confirmation.members if member.sentence or member.error]
    if sentences:
        parts += ["", *sentences]
    if measured:
        parts += ["", *(Text(f"· {note}", "dim") for note in confirmation.notes)]
    return Group(*parts)


def _facts(confirmation: Confirmation) -> str:
    facts = [f"{len(confirmation.seeds)} seeds", f"{confirmation.epochs} epochs"]
    if confirmation.rows:
        facts.append(f"tested on {confirmation.rows['test']} rows that no search sees")
    if confirmation.tests:
        facts.append(f"p after Holm's correction for {confirmation.tests['n_tests']} comparisons")
    return " · ".join(facts)


def _table(members: list[ConfirmedMember], confirmation: Confirmation) -> Table:
    name = (confirmation.metric or {}).get("name", "score").replace("_", " ")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("place", no_wrap=True)
    table.add_column("network")
    table.add_column("parameters", justify="right")
    table.add_column(name)
    table.add_column("candidate − it")  # noqa: RUF001  # a minus sign
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("the candidate is")
    for member in members:
        for arm in member.arms:
            comparison = member.comparisons.get(arm.name)
            is_first = arm.name == "candidate"
            table.add_row(
                member.place if is_first else "",
                arm.name.replace("_", " "),
                _counts(arm),
                "nothing to take away" if arm.is_void else _interval(arm.score),
                *_compared(comparison),
                style="bold" if is_first else "",
            )
    return table


def _counts(arm: Arm) -> str:
    fixed = arm.parameters - arm.trained_parameters
    return f"{arm.trained_parameters} + {fixed} fixed" if fixed else str(arm.parameters)


def _interval(found: Interval | None, *, has_sign: bool = False) -> str:
    if found is None:
        return ""
    sign = "+" if has_sign else ""
    text = f"{found.mean:{sign}.3f}"
    return text if found.low is None else f"{text} [{found.low:{sign}.2f}, {found.high:{sign}.2f}]"


def _compared(comparison: Comparison | None) -> tuple[str, str, Text]:
    if comparison is None:
        return "", "", Text()
    verdict = Text(comparison.verdict, _STYLE_OF_VERDICT[comparison.verdict])
    return _interval(comparison.difference, has_sign=True), f"{comparison.p_adjusted:.2g}", verdict


def _sentence(member: ConfirmedMember) -> Text:
    told = plain(member.sentence) if member.sentence else plain(f"could not be measured: {member.error}", "red")
    about = plain(f"  ({architecture(member.genome)})", "dim")
    return Text.assemble((f"{member.place}  ", "bold"), told, about)
