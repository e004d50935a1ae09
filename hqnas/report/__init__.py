"""Reports: one HTML page of searches, with every picture as PNG and every table as CSV beside it."""

from hqnas.report.page import Report, make_report, write_report
from hqnas.report.study import NothingToReport, Study, gather

__all__ = ["NothingToReport", "Report", "Study", "gather", "make_report", "write_report"]
