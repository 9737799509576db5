"""docs/reference, made from the code: `python -m infra.ops.reference` writes it, a test compares it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

from prometheus_client import Counter, Gauge, Histogram
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.platform import metrics
from infra.platform.settings import Settings

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "reference"
_MADE: Final = "<!-- Made by `python -m infra.ops.reference`; edit the code, not this file. -->\n"
_SETTINGS_HEAD: Final = """\
# Settings

One TOML file: `--settings FILE`, else `$LIUCUN_SETTINGS`, else `/etc/liucun/liucun.toml` if it is there. The
environment goes before the file: `LIUCUN_AGENT__AGENT_ID=mx1` is `agent_id` in `[agent]`. An unknown name is an error.
A commented example is `infra/deploy/liucun.toml`. Secrets are given as files, and never printed.
"""
_METRICS_HEAD: Final = """\
# Metrics

Each program shows its own on `http://<metrics.host>:<metrics.port>/metrics`; port 0, the default, shows none. Labels
are closed sets: never an address, an id, an agency or a case. Histograms end in `_bucket`, `_sum` and `_count`.
"""
_BOUNDS: Final = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def documents() -> dict[str, str]:
    """File name -> text of every page that is made."""
    return {"settings.md": settings_page(), "metrics.md": metrics_page()}


def settings_page() -> str:
    """All settings, one table a section."""
    lines = [_MADE, _SETTINGS_HEAD]
    for name, model, standard in _sections(Settings, "", Settings.model_construct()):
        many = name.endswith("]]")
        lines += [f"## `{name if many else f'[{name}]'}`\n", f"{_sentence(model)}\n"]
        lines += ["| setting | default | bounds | meaning |", "|---|---|---|---|"]
        lines += [_row(field, info, standard) for field, info in model.model_fields.items() if not _is_section(info)]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def metrics_page() -> str:
    """All series, in the catalogue's order."""
    lines = [_MADE, _METRICS_HEAD, "| series | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in metrics.CATALOGUE:
        described = next(iter(metric.describe()))
        name = described.name + ("_total" if isinstance(metric, Counter) else "")
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        lines.append(f"| `{name}` | {_kind(metric)} | {labels} | {_cell(described.documentation)} |")
    return "\n".join(lines) + "\n"


def _sections(
    model: type[BaseModel], path: str, standard: BaseModel | None
) -> Iterator[tuple[str, type[BaseModel], BaseModel | None]]:
    """(TOML table, its model, it as it stands by default), in the tree's order; `[[...]]` for lists of tables."""
    for name, info in model.model_fields.items():
        if (section := _model_of(info.annotation)) is None:
            continue
        inner = f"{path}{name}"
        value = getattr(standard, name, None)
        default = value if isinstance(value, BaseModel) else None
        yield (f"[[{inner}]]" if info.annotation is not section else inner), section, default
        yield from _sections(section, f"{inner}.", default)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a setting is, or is a list of."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _is_section(info: FieldInfo) -> bool:
    return _model_of(info.annotation) is not None


def _row(name: str, info: FieldInfo, standard: BaseModel | None) -> str:
    return f"| `{name}` | {_default(name, info, standard)} | {_cell(_bounds(info))} | {_cell(info.description or '')} |"


def _default(name: str, info: FieldInfo, standard: BaseModel | None) -> str:
    """What stands there when nobody sets it: the section's own value where it has one by default."""
    if standard is None and info.is_required():
        return "required"
    known = info.get_default(call_default_factory=True, validated_data={})
    value = known if standard is None else getattr(standard, name)
    if value is None:
        return "none"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if text else "empty"


def _bounds(info: FieldInfo) -> str:
    """Bounds, patterns and choices, as they are declared."""
    choices = [str(value) for value in get_args(info.annotation) if isinstance(value, str)]
    found = [f"`{' '.join(choices)}`"] if choices else []
    for constraint in info.metadata:
        for attribute, sign in _BOUNDS.items():
            if (bound := getattr(constraint, attribute, None)) is not None:
                found.append(f"{sign} {bound}")
        if pattern := getattr(constraint, "pattern", None):
            found.append(f"`{pattern}`")
    return ", ".join(found)


def _sentence(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]


def _kind(metric: Counter | Gauge | Histogram) -> str:
    return type(metric).__name__.lower()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{FOLDER / name}\n")


if __name__ == "__main__":
    main()
