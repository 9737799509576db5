"""docs/reference/errors.md, made from the catalogue: `python -m query_service.reference`; a test compares."""

import sys
from pathlib import Path
from typing import Final

from query_service.reasons import DOMAIN, REASONS

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"
_HEAD: Final = f"""\
<!-- Made by `python -m query_service.reference`; edit the code, not this file. -->

# Reasons

What the query service refuses carries `google.rpc.ErrorInfo`: a reason of this list, domain `{DOMAIN}`, and metadata
that names a field, a part or a rule, never a value. Only UNAVAILABLE may be tried again unseen. Trailing metadata has
`liucun-request-id`. Each refusal of an enrolled caller is an entry of the ledger; the others are counted there.

| reason | gRPC code | what it means | what to do |
|---|---|---|---|
"""


def documents() -> dict[str, str]:
    """File name -> text of every page that is made."""
    rows = [f"| `{one.name}` | {one.code.name} | {one.meaning} | {one.advice} |" for one in REASONS.values()]
    return {"errors.md": _HEAD + "\n".join(rows) + "\n"}


def main() -> None:
    """Write every page."""
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{FOLDER / name}\n")


if __name__ == "__main__":
    main()
