"""The commands of docs/operations.md, so that tests run what a reader would type."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "operations.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def lines() -> list[str]:
    """Returns the lines of the document's shell blocks, without comments, continued lines joined."""
    text = "\n".join(_BLOCK.findall(DOCUMENT.read_text(encoding="utf-8"))).replace("\\\n", " ")
    return [line for raw in text.splitlines() if (line := re.sub(r"\s+# .*|^# .*", "", raw).strip())]


def commands_of(program: str) -> str:
    """Returns the one command that begins with the program and reads HQNAS_DATABASE_URL."""
    (found,) = (one for one in lines() if one.startswith(f"{program} ") and "$HQNAS_DATABASE_URL" in one)
    return found
