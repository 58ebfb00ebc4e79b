"""Rows as plain tuples, to compare."""

from collections.abc import Iterable

from answerable.inventory.installed import Installed


def plain(rows: Iterable[Installed]) -> set[tuple[str, ...]]:
    """Give ecosystem, package, version, architecture, source, and the source's version."""
    return {(r.ecosystem, r.package, r.version, r.arch, r.source, r.source_version) for r in rows}
