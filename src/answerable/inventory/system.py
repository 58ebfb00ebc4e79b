"""What is installed in a whole root: this machine, a mounted disk, an image's layers.

The distribution's package database, whichever it is, and Python's environments beside it. Rules: a
root with none of them is unreadable, never empty; one that is there and damaged makes the root
unreadable. What lies in the distribution's own `site-packages` (below `usr/lib`) is counted by its
package tool, so it is counted here only where there is none.

Left out: other languages' packages: a document of a generator lists those (cyclonedx.py, spdx.py).
"""

from answerable.inventory import apk, dpkg, python, release, rpm
from answerable.inventory.installed import Found, Gap, Unreadable, gathered
from answerable.inventory.tree import Tree

_READERS = (dpkg, rpm, apk)


def read(tree: Tree, ecosystem: str = "") -> Found:
    """Read everything that is installed in a root.

    Args:
        ecosystem: its release; read from it if empty.

    Raises:
        Unreadable: no package database, a damaged one, or no release is named.
    """
    readers = [reader for reader in _READERS if reader.present(tree)]
    rows = list[Found]()
    if readers:
        where = ecosystem or release.of(tree)
        rows = [reader.found(tree, where) for reader in readers]
    rows.append(python.found(tree, () if not readers else ("usr/lib/", "usr/lib64/", "lib/")))
    whole = gathered([*(p for r in rows for p in r.packages), *_gaps(rows)])
    if not whole.packages:
        raise Unreadable(f"`{tree}` has no package database that is known; name another root")
    return whole


def _gaps(rows: list[Found]) -> list[Gap]:
    return [gap for found in rows for gap in found.gaps]
