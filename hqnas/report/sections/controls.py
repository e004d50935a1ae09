"""What is left of the fronts on data that no search has seen, beside controls."""

from collections import Counter
from typing import Final

from hqnas.client.confirmation import Comparison, ConfirmedMember
from hqnas.export import architecture, in_words
from hqnas.report.correlation import Estimate
from hqnas.report.intervals import draw_intervals
from hqnas.report.section import Cell, Section, Table
from hqnas.report.study import Member, Study

_TITLE: Final = "Controls"
_COLUMNS: Final = (
    "search",
    "candidate",
    "architecture",
    "control",
    "seeds",
    "difference",
    "low",
    "high",
    "p",
    "p adjusted",
    "verdict",
)


def controls(study: Study) -> Section:
    """Returns how far the members of each front are ahead of their controls on the test split, paired over seeds."""
    confirmed = [member for member in study.members if member.confirmation is not None]
    if not confirmed:
        text = (
            "No search is confirmed. `hqnas confirm SEARCH` trains its front anew beside controls, on the test split."
        )
        return Section("controls", _TITLE, (text,))
    found = [
        (member, one, two) for member in confirmed for one in _measured(member) for two in one.comparisons.values()
    ]
    if not found:
        return Section("controls", _TITLE, ("The confirmations have not finished, or have nothing to compare.",))
    # Most notes are the same for all.
    sentences = dict.fromkeys(sentence for member in confirmed for sentence in _sentences(member))
    scores = list(dict.fromkeys(_metric(member) for member, _, _ in found))
    panels: dict[str, dict[tuple[str, str], Estimate]] = {}
    for member, one, comparison in found:
        panel = panels.setdefault("" if len(scores) == 1 else _metric(member), {})
        panel[in_words(comparison.control), _name(study, member, one)] = _estimate(comparison)
    groups = list(dict.fromkeys(group for drawn in panels.values() for group, _ in drawn))
    label = (
        f"{scores[0] if len(scores) == 1 else 'score'} of the candidate less that of its control, 95 % interval each"
    )
    picture = draw_intervals(panels, groups=groups, x_label=label)
    rows = tuple(_row(member, one, comparison) for member, one, comparison in found)
    return Section("controls", _TITLE, tuple(sentences), Table(_COLUMNS, rows), picture)


def _measured(member: Member) -> tuple[ConfirmedMember, ...]:
    return () if member.confirmation is None else member.confirmation.members


def _metric(member: Member) -> str:
    metric = member.confirmation.metric if member.confirmation is not None else None
    return in_words((metric or {}).get("name", "test_score"))


def _sentences(member: Member) -> list[str]:
    confirmation = member.confirmation
    assert confirmation is not None
    verdicts = Counter(comparison.verdict for one in confirmation.members for comparison in one.comparisons.values())
    counts = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in ("better", "no better", "worse"))
    return [
        f"{member.label}: {confirmation.n_measured} members, each trained with {len(confirmation.seeds)} seeds for "
        f"{confirmation.epochs} epochs; of the comparisons with controls: {counts}.",
        *confirmation.notes,
    ]


def _name(study: Study, member: Member, one: ConfirmedMember) -> str:
    return one.place if len(study.members) == 1 else f"{member.label} {one.place}"


def _estimate(comparison: Comparison) -> Estimate:
    difference = comparison.difference
    low, high = difference.low, difference.high
    return Estimate(difference.mean, difference.mean if low is None else low, difference.mean if high is None else high)


def _row(member: Member, one: ConfirmedMember, comparison: Comparison) -> tuple[Cell, ...]:
    difference = comparison.difference
    return (
        member.label,
        one.place,
        architecture(one.genome),
        in_words(comparison.control),
        difference.n,
        difference.mean,
        difference.low,
        difference.high,
        comparison.p_value,
        comparison.p_adjusted,
        comparison.verdict,
    )
