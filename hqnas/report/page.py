"""The page: its sections, and their pictures and tables as files."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

import hqnas
from hqnas.export import write_file
from hqnas.export.files import CannotExport
from hqnas.report.section import Section
from hqnas.report.sections import SECTIONS
from hqnas.report.study import Study


@dataclass(frozen=True, slots=True)
class Report:
    """A page that needs no other file, and its parts."""

    html: str
    parts: dict[str, str | bytes]  #: by file name


def make_report(study: Study, *, folder: str, now: datetime | None = None) -> Report:
    """Returns the report of a study.

    Args:
        study: the searches.
        folder: of the parts, as the page links to it.
        now: the time that the page states; by default that of the clock.

    Raises:
        CannotExport: a library that draws is not installed.
    """
    sections = [make(study) for make in SECTIONS]
    parts: dict[str, str | bytes] = {}
    for section in sections:
        if section.picture is not None:
            parts[f"{section.name}.png"] = section.picture
        if section.table is not None:
            parts[f"{section.name}.csv"] = section.table.to_csv()
    title = " · ".join(member.label for member in study.members)
    html = _template().render(
        title=title,
        members=study.members,
        sections=sections,
        folder=folder,
        to_data_url=_to_data_url,
        to_yaml=_to_yaml,
        version=hqnas.__version__,
        now=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
    )
    return Report(html, parts)


def write_report(report: Report, page: Path) -> None:
    """Writes the page, and its parts into a folder of the same name beside it.

    Raises:
        CannotExport: the place cannot be written.
    """
    for name, content in report.parts.items():
        write_file(page.with_suffix("") / name, content)
    write_file(page, report.html)


def _template() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise CannotExport("a report needs jinja2, which is not installed; install 'hqnas[report]'") from error
    environment = Environment(
        loader=PackageLoader("hqnas.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.j2")


def _to_data_url(section: Section) -> str:
    return "data:image/png;base64," + base64.b64encode(section.picture or b"").decode()


def _to_yaml(document: Any) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
