"""The committed contract files as package data: .avsc, .sql, .toml. Pure reads, no paths of the machine."""

from importlib.resources import files


def read_text(folder: str, name: str) -> str:
    """Text of `schemas/<folder>/<name>`; FileNotFoundError when there is none."""
    return files("schemas").joinpath(folder, name).read_text(encoding="utf-8")


def names(folder: str, suffix: str) -> list[str]:
    """Sorted file names below `schemas/<folder>` that end in `suffix`."""
    found = (entry.name for entry in files("schemas").joinpath(folder).iterdir())
    return sorted(name for name in found if name.endswith(suffix))
