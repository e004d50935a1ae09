"""What `hqnas confirm` shows: a block of four networks for each member, and what can be said of it."""

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hqnas.cli.screen import plain
from hqnas.client.confirmation import Arm, Comparison, Confirmation, ConfirmedMember, Interval
from hqnas.export.genes import architecture
from hqnas.export.names import in_words

_STYLE_OF_VERDICT: Final = {"better": "green", "no better": "", "worse": "red"}
_STYLE_OF_STATE: Final = {"finished": "green", "failed": "red", "cancelled": "yellow"}
_WIDE: Final = 106  #: characters that the table takes with each network in one line
_SMALLEST_P: Final = 0.001  #: that is written in digits


def progress_text(confirmation: Confirmation) -> Text:
    """Returns how far a confirmation is, in one line."""
    facts = [
        f"confirmation {confirmation.number} {confirmation.state}",
        f"{confirmation.n_measured} of {confirmation.n_members} members measured",
        *([f"{confirmation.n_failed} failed"] if confirmation.n_failed else []),
        *([confirmation.notice] if confirmation.notice else []),
    ]
    return plain("  ".join(facts))


def confirmation_view(confirmation: Confirmation, *, width: int) -> RenderableType:
    """Returns a confirmation: a table of all networks, a sentence for each member, and what to keep in mind.

    On a terminal too narrow for a network in one line, intervals stand under what they are of.
    """
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
        parts += ["", _table(measured, confirmation, is_wide=width >= _WIDE)]
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


def _table(members: list[ConfirmedMember], confirmation: Confirmation, *, is_wide: bool) -> Table:
    name = in_words((confirmation.metric or {}).get("name", "score"))
    space = " " if is_wide else "\n"
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("place", no_wrap=True)
    table.add_column("network", no_wrap=is_wide)
    table.add_column("weights", justify="right")
    table.add_column(name.replace(" ", space))
    table.add_column(f"candidate{space}− it", no_wrap=True)  # noqa: RUF001  # a minus sign
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("candidate" if not is_wide else "the candidate is", no_wrap=True)
    for member in members:
        for arm in member.arms:
            comparison = member.comparisons.get(arm.name)
            is_first = arm.name == "candidate"
            table.add_row(
                member.place if is_first else "",
                in_words(arm.name),
                _counts(arm, space),
                "nothing to take away" if arm.is_void else _interval(arm.score, space),
                *_compared(comparison, space),
                style="bold" if is_first else "",
            )
    return table


def _counts(arm: Arm, space: str) -> str:
    fixed = arm.parameters - arm.trained_parameters
    return f"{arm.trained_parameters}{space}+ {fixed} fixed" if fixed else str(arm.parameters)


def _interval(found: Interval | None, space: str, *, has_sign: bool = False) -> str:
    if found is None:
        return ""
    text = f"{found.mean:{'+' if has_sign else ''}.3f}"
    return text if found.low is None else f"{text}{space}[{found.low:.2f}, {found.high:.2f}]"


def _compared(comparison: Comparison | None, space: str) -> tuple[str, str, Text]:
    if comparison is None:
        return "", "", Text()
    p = comparison.p_adjusted
    verdict = Text(comparison.verdict, _STYLE_OF_VERDICT[comparison.verdict])
    interval = _interval(comparison.difference, space, has_sign=True)
    return interval, f"{p:.2g}" if p >= _SMALLEST_P else f"< {_SMALLEST_P:g}", verdict


def _sentence(member: ConfirmedMember) -> Text:
    told = plain(member.sentence) if member.sentence else plain(f"could not be measured: {member.error}", "red")
    about = plain(f"  ({architecture(member.genome)})", "dim")
    return Text.assemble((f"{member.place}  ", "bold"), told, about)
