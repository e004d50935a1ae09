"""The questions that a report answers, one file each, in the order of the page."""

from collections.abc import Callable
from typing import Final

from hqnas.report.section import Section
from hqnas.report.sections.controls import controls
from hqnas.report.sections.fronts import fronts
from hqnas.report.sections.genes import gene_importance, shared_genes
from hqnas.report.sections.growth import hypervolume
from hqnas.report.sections.proxies import proxies
from hqnas.report.sections.trade_off import strata, trade_off
from hqnas.report.study import Study

SECTIONS: Final[tuple[Callable[[Study], Section], ...]] = (
    fronts,
    hypervolume,
    trade_off,
    strata,
    proxies,
    gene_importance,
    shared_genes,
    controls,
)
