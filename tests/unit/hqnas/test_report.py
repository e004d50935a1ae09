"""Reports: their numbers against known ones, and their page, pictures and tables."""

import math
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import stats

from hqnas.client.results import Candidate
from hqnas.export import style
from hqnas.report import NothingToReport, Study, gather, make_report
from hqnas.report.comparison import coverages, gene_shares, growth
from hqnas.report.correlation import _coefficients, association
from hqnas.report.importance import importance
from hqnas.report.section import canvas, legend
from hqnas.report.sections.controls import controls
from hqnas.report.sections.proxies import proxies
from hqnas.report.sections.trade_off import strata, trade_off
from hqnas.report.study import Member, Row

from .studies import drawn, make_member

NOW = datetime(2026, 1, 2, tzinfo=UTC)

#: A 95 % interval misses in one of twenty samples; more than 8 of 60 happens with probability 2e-3, and no
#: fewer than 0.
COVERED = 52


def test_ranks_that_agree_have_coefficients_of_one():
    x = np.arange(12.0)
    found = association(x, np.exp(x))
    assert (found.n, found.spearman.value, found.kendall.value) == (12, pytest.approx(1), pytest.approx(1))
    assert found.spearman.low == pytest.approx(1)


def test_coefficients_are_those_of_another_implementation():
    rng = np.random.default_rng(5)
    x, y = rng.integers(6, size=30).astype(float), rng.integers(6, size=30).astype(float)  # with ties
    counts = rng.multinomial(30, np.full(30, 1 / 30), size=4).astype(float)
    for count, rho, tau in zip(counts, *_coefficients(x, y, counts), strict=True):
        sample = np.repeat(x, count.astype(int)), np.repeat(y, count.astype(int))
        assert rho == pytest.approx(stats.spearmanr(*sample).statistic)
        assert tau == pytest.approx(stats.kendalltau(*sample).statistic)


def test_kendall_counts_pairs_and_corrects_for_ties():
    # 28 pairs: 1 discordant, 1 tied in y, 26 concordant; tau-b = 25 / sqrt(28 * 27).
    found = association(np.arange(8.0), np.array([0, 1, 2, 3, 5, 4, 6, 6.0]))
    assert found.kendall.value == pytest.approx(25 / math.sqrt(28 * 27))


def test_intervals_hold_the_coefficient_of_the_population_about_as_often_as_they_say():
    # Of a bivariate normal with r = 0.5, Spearman's coefficient is (6/pi) asin(r/2).
    truth = 6 / math.pi * math.asin(0.25)
    found = [association(*np.array(drawn(60, 0.5, seed))[:, 1:].T).spearman for seed in range(60)]
    assert sum(one.low <= truth <= one.high for one in found) >= COVERED
    assert any(not one.low <= 0 <= one.high for one in found)


@pytest.mark.parametrize("y", [np.ones(20), np.r_[np.full(15, np.nan), np.arange(5.0)]])
def test_too_few_candidates_or_a_constant_have_no_coefficient(y):
    assert association(np.arange(20.0), y) is None


def test_coverage_is_the_share_of_a_front_that_another_reaches(documents):
    one = make_member(documents, [(0.9, 0.5, 0), (0.8, 0.2, 0)], label="one", fronts=(0, 1))
    other = make_member(documents, [(0.9, 0.5, 0), (0.7, 0.9, 0), (0.95, 0.1, 0)], label="other", fronts=(0, 1, 2))
    study = Study((one, other))
    found = {(c.by, c.of): c.share for c in coverages(study, study.shared_objectives)}
    assert found == {("one", "other"): pytest.approx(2 / 3), ("other", "one"): 1.0}


def test_volumes_of_several_searches_have_one_reference_point(documents):
    one = make_member(documents, [(1.0, 0.0, 0), (0.0, 1.0, 0)], label="one", fronts=(0,), generations=[0, 1])
    other = make_member(documents, [(0.5, 0.5, 0)], label="other", fronts=(0,))
    study = Study((one, other))
    found = growth(study, study.shared_objectives)
    # Accuracy and expressibility both span 0 to 1, so the reference point is (-0.1, 1.1).
    assert found[0].volumes == pytest.approx((1.21, 1.21))
    assert found[1].volumes == pytest.approx((0.36,))
    assert found[0].n_evaluated == (1, 2)


def test_candidates_that_break_a_constraint_add_no_volume(documents):
    member = make_member(documents, [(1.0, 0.0, 0), (0.5, 0.5, 0)], label="one")
    member.rows[0].candidate.document["violation"] = 1.0
    broken = Row(member.search, "one", Candidate.from_json({**member.rows[0].candidate.document, "violation": 1.0}))
    study = Study((Member(member.search, "one", (broken, member.rows[1]), ()), member))
    volumes = growth(study, study.shared_objectives)
    assert volumes[0].volumes[0] < volumes[1].volumes[0]


def test_a_single_search_keeps_its_own_reference_point(documents):
    study = Study((make_member(documents, [(0.5, 0.5, 0)]),))
    (found,) = growth(study, study.shared_objectives)
    assert (found.n_evaluated, found.volumes) == ((2, 4), (0.5, 0.71))


def test_gene_shares_count_the_front_and_all_that_was_evaluated(documents):
    genomes = [{"qubits": n} for n in (2, 2, 3, 4)]
    member = make_member(documents, [(0.5, 0.5, 0)] * 4, genomes=genomes, fronts=(1, 2))
    found = [one for one in gene_shares(Study((member,))) if one.gene == "qubits"]
    assert [(one.value, one.on_front["one"], one.evaluated["one"]) for one in found] == [
        ("2", 0.5, 0.5),
        ("3", 0.5, 0.25),
        ("4", 0.0, 0.25),
    ]


def test_names_of_a_legend_are_never_cut(documents):
    with style.drawing():
        figure, (panel,) = canvas(1, 1, width=5.4, height=4.4)
        for name in ("a name of some forty characters, as one is", "another name that is about as long as that"):
            panel.plot([0, 1], label=f"{name}: front, ± one standard error")
        legend(figure, [panel])
        figure.draw_without_rendering()
        (written,) = figure.legends
        box = written.get_window_extent()
    assert 0 <= box.x0 <= box.x1 <= figure.bbox.width


def test_importance_finds_the_gene_that_a_metric_depends_on(documents):
    rng = np.random.default_rng(2)
    genomes = [{"qubits": int(rng.integers(2, 7)), "layers": int(rng.integers(1, 5))} for _ in range(80)]
    member = make_member(documents, [(0.1 * g["qubits"], 0, 0) for g in genomes], genomes=genomes)
    found = importance(member.rows, "validation_accuracy")
    assert found.r2 > 0.9
    assert [gene.gene for gene in found.genes] == ["qubits", "layers"]
    assert found.genes[0].value > 10 * abs(found.genes[1].value)


def test_an_entangler_that_the_topology_decides_takes_none_of_its_importance(documents):
    wired = {"entangler": ["cnot"], "topology": ["ring"]}, {"entangler": ["cnot"], "topology": ["linear"]}
    choices = [{"entangler": [None], "topology": ["none"]}, *wired]
    genomes = [choices[i % 3] for i in range(60)]
    points = [(float(g["entangler"] == [None]), 0, 0) for g in genomes]
    found = importance(make_member(documents, points, genomes=genomes).rows, "validation_accuracy")
    assert [gene.gene for gene in found.genes] == ["topology"]
    free = [*genomes, {"entangler": ["cz"], "topology": ["ring"]}]
    found = importance(make_member(documents, [*points, (0.5, 0, 0)], genomes=free).rows, "validation_accuracy")
    assert {gene.gene for gene in found.genes} == {"topology", "entangler"}


def test_a_forest_that_predicts_nothing_says_so(documents):
    rng = np.random.default_rng(3)
    genomes = [{"qubits": int(rng.integers(2, 7))} for _ in range(60)]
    member = make_member(documents, [(float(rng.normal()), 0, 0) for _ in genomes], genomes=genomes)
    assert importance(member.rows, "validation_accuracy").r2 < 0.1


@pytest.mark.parametrize(("rho", "says"), [(0.8, "strong trade-off"), (0.0, "no trade-off"), (-0.8, "opposite")])
def test_the_verdict_follows_the_interval(documents, rho, says):
    section = trade_off(Study((make_member(documents, drawn(60, rho)),)))
    assert says in section.sentences[0]


def test_each_training_mode_is_asked_for_itself(documents):
    hybrid = make_member(documents, drawn(40, 0.9), label="hybrid")
    pure = make_member(documents, drawn(40, -0.9), label="pure", mode="pure-quantum")
    section = trade_off(Study((hybrid, pure)))
    assert [row[:2] for row in section.table.rows] == [("full-hybrid", 40), ("pure-quantum", 40)]
    assert section.table.rows[0][2] > 0.5 > -0.5 > section.table.rows[1][2]


def test_a_trade_off_that_comes_from_width_alone_is_gone_within_a_width(documents):
    rng = np.random.default_rng(4)
    genomes = [{"qubits": 2 + i % 3} for i in range(120)]
    points = [(0.5, g["qubits"] + 0.1 * rng.normal(), g["qubits"] + 0.1 * rng.normal()) for g in genomes]
    study = Study((make_member(documents, points, genomes=genomes),))
    assert "strong trade-off" in trade_off(study).sentences[0]
    within = [row for row in strata(study).table.rows if row[1] == "qubits"]
    assert [row[2] for row in within] == ["2", "3", "4"]
    assert all(row[5] < 0 < row[6] for row in within)


def test_what_was_not_measured_is_named(documents):
    member = make_member(documents, drawn(40, 0.5))
    for row in member.rows:
        del row.candidate.metrics["gradient_variance"]
    section = trade_off(Study((member,)))
    assert (section.picture, section.table) == (None, None)
    assert "gradient_variance" in section.sentences[0]


def test_a_proxy_that_foretells_accuracy_is_found(documents):
    points = [(accuracy, float(i % 7), accuracy) for i, (accuracy, _, _) in enumerate(drawn(40, 0.0))]
    section = proxies(Study((make_member(documents, points),)))
    assert "gradient variance in full-hybrid" in section.sentences[1]


def test_gathering_takes_evaluated_candidates_alone(client, documents):
    study = gather(client, [documents.search_id])
    assert [row.candidate.state for row in study.rows] == ["evaluated"] * 3
    assert len(study.members[0].front) == 2


def test_a_search_that_has_nothing_yet_is_refused(api, client, documents):
    api.candidates = []
    with pytest.raises(NothingToReport, match="has no evaluated candidate yet; it is running"):
        gather(client, [documents.search_id])


def test_a_search_that_stands_twice_is_refused(client, documents):
    with pytest.raises(NothingToReport, match="stands twice"):
        gather(client, [documents.search_id] * 2)


def test_searches_of_one_name_are_told_apart(api, client, documents):
    api.searches[documents.older_id]["name"] = "small"
    study = gather(client, [documents.search_id, documents.older_id])
    assert [member.label for member in study.members] == ["small (00000001)", "small (00000002)"]


def test_controls_are_the_differences_of_the_newest_confirmation(api, client, documents):
    api.searches[documents.older_id]["state"] = "finished"
    client.confirm(documents.older_id, seeds=5)
    section = controls(gather(client, [documents.older_id]))
    assert [(row[1], row[3], row[5], row[10]) for row in section.table.rows] == [
        ("0.0", "frozen circuit", 0.2, "better"),
        ("0.0", "classical net", -0.05, "worse"),
    ]
    assert section.sentences[0].endswith("of the comparisons with controls: 1 better, 0 no better, 1 worse.")
    assert section.sentences[1] == "This is confirmation 1."
    assert section.picture.startswith(b"\x89PNG")


def test_without_a_confirmation_the_report_says_how_to_make_one(client, documents):
    section = controls(gather(client, [documents.search_id]))
    assert (section.picture, section.table) == (None, None)
    assert "hqnas confirm" in section.sentences[0]


@pytest.fixture(scope="module")
def study(request):
    from .fake_api import Documents

    genomes = [{"qubits": 2 + i % 3, "layers": 1 + i % 4, "topology": ["ring", "none"]} for i in range(40)]
    one = make_member(Documents, drawn(40, 0.5), genomes=genomes, fronts=(1, 2, 3), label="<b>one</b>")
    other = make_member(Documents, drawn(40, -0.2, 2), genomes=genomes, fronts=(4,), label="two", mode="quantum-only")
    return Study((one, other))


@pytest.fixture(scope="module")
def report(study):
    return make_report(study, folder="parts", now=NOW)


def test_every_section_has_a_picture_and_a_table(report):
    names = ("fronts", "hypervolume", "trade-off", "strata", "proxies", "importance", "genes")
    assert set(report.parts) == {f"{name}.{kind}" for name in names for kind in ("png", "csv")}
    assert all(report.parts[f"{name}.png"].startswith(b"\x89PNG") for name in names)


def test_the_page_needs_no_other_file_and_runs_no_script(report):
    assert report.html.count("data:image/png;base64,") == 7
    assert "<script" not in report.html
    assert not re.search(r"(src|href)=\"(https?:)?//", report.html)


def test_names_are_escaped(report):
    assert "&lt;b&gt;one&lt;/b&gt;" in report.html
    assert "<b>one" not in report.html


def test_tables_link_to_their_files(report):
    links = re.findall(r"href=\"parts/([^\"]+)\"", report.html)
    assert set(links) == set(report.parts)


def test_the_command_writes_the_page_and_its_parts(run, tmp_path, documents):
    page = tmp_path / "new" / "wine.html"
    result = run("report", documents.search_id[:8], "-o", str(page))
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{page}\n", "")
    assert page.read_text().startswith("<!doctype html>")
    assert (tmp_path / "new" / "wine" / "fronts.csv").read_text().startswith("search,mode,candidate,")


def test_a_report_that_is_no_page_is_refused(run, documents):
    result = run("report", documents.search_id, "-o", "report.pdf")
    assert result.exit_code == 1
    assert "has to end in .html" in result.stderr
