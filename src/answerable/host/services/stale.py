"""Which units still run what a change has replaced: `find_need`.

A file that is replaced stays in the memory of whoever had mapped it: what is installed is not in
effect before its processes have started anew. The kernel says which these are, so no list of
services has to be believed:

* a process runs replaced code if it maps a deleted file with the right to execute it: a library,
  or its own program (proc(5), `maps`). Files of temporary folders and of memory do not count;
* an interpreter (`INTERPRETERS`) maps no scripts, so one that was started before packages were last
  changed only may run old code: it may be restarted, and is never called ineffective;
* a process belongs to the unit whose cgroup it is in: the outermost below nothing but slices, so
  that a unit of the same name in a container is not taken for the host's. The first process, which
  runs no unit, is called `systemd-manager`, as needrestart(1) does;
* a process that this one may not look at may run old code too: nothing is taken as done because
  it could not be seen.

Sources: proc(5), cgroups(7), systemd's naming of units by cgroups. Left out: what is held open and
not mapped; files replaced in containers, whose processes count for the unit that they run in.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
DATABASES = (Path("/var/lib/dpkg/status"), Path("/var/lib/rpm/rpmdb.sqlite"))
"""What a package tool writes anew at each change."""
MAPS = 32 << 20
"""Most that is read of one process's mappings, bytes."""
PROCESSES = 65_536
"""Most processes that are looked at."""
MANAGER = "systemd-manager"
INTERPRETERS = re.compile(r"(python|perl|ruby|node|java|php|lua|guile|tclsh|bash|dash|sh)[0-9.]*")
_SHORT = 8192
_CODE = re.compile(
    r"^[0-9a-f]+-[0-9a-f]+ ..x. [0-9a-f]+ \S+ [1-9][0-9]* +(/.*) \(deleted\)$", re.MULTILINE
)
_MEMORY = ("/tmp/", "/var/tmp/", "/dev/", "/run/", "/memfd:", "/SYSV", "/anon_hugepage")  # noqa: S108
_SLACK = 1.0


class Need(NamedTuple):
    """Units by their names, `.service` left away.

    `sure`: unit -> a replaced file that one of its processes runs; no name if it is in no unit.
    `perhaps`: units of interpreters that are older than the last change of packages, and of
    processes that could not be looked at. `own`: the unit of whoever asked.
    """

    sure: Mapping[str, str]
    perhaps: frozenset[str] = frozenset()
    own: str = ""

    def may(self, unit: str) -> bool:
        """Tell whether a unit may be restarted."""
        return unit in self.sure or unit in self.perhaps


def find_need(proc: Path = PROC, databases: Iterable[Path] = DATABASES) -> Need:
    """Look at every process.

    Args:
        proc: where proc(5) is mounted; all processes must be visible there.
        databases: files whose times of change tell when packages last changed.
    """
    changed = max((_changed(path) for path in databases), default=0.0)
    booted, tick = _booted(proc), os.sysconf("SC_CLK_TCK")
    sure: dict[str, str] = {}
    perhaps: set[str] = set()
    for pid in _pids(proc):
        try:
            unit = unit_of(_read(pid / "cgroup", _SHORT))
            if files := replaced(_read(pid / "maps", MAPS)):
                sure.setdefault(unit, files[0])
            elif INTERPRETERS.fullmatch((pid / "exe").readlink().name):
                started = booted + _ticks(_read(pid / "stat", _SHORT)) / tick
                perhaps |= {unit} if started <= changed + _SLACK else set()
        except PermissionError:
            perhaps.add(unit)
        except OSError:
            continue  # it has ended, or is the kernel's own
    return Need(dict(sorted(sure.items())), frozenset(perhaps - {""}), own_unit(proc))


def own_unit(proc: Path = PROC) -> str:
    """Give the unit that this very process is of; nothing if it is of none."""
    try:
        return unit_of(_read(proc / "self/cgroup", _SHORT))
    except OSError:
        return ""


def replaced(maps: str) -> list[str]:
    """Give the deleted files that the text of a `maps` file shows as code, sorted."""
    return sorted({path for path in _CODE.findall(maps) if not path.startswith(_MEMORY)})


def unit_of(cgroup: str) -> str:
    """Give the unit that the text of a `cgroup` file names; nothing if it names none."""
    for line in cgroup.splitlines():
        hierarchy, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names not in ("", "name=systemd") or not hierarchy.isdigit():
            continue
        parts = (part for part in path.split("/") if part not in ("", ".."))
        first = next((part for part in parts if not part.endswith(".slice")), "")
        if first == "init.scope":
            return MANAGER
        return first.removesuffix(".service") if first.endswith((".service", ".scope")) else ""
    return ""


def _pids(proc: Path) -> Iterator[Path]:
    names = (name for name in os.listdir(proc) if name.isdigit())  # noqa: PTH208  names are enough
    for _, name in zip(range(PROCESSES), names, strict=False):
        yield proc / name


def _read(path: Path, limit: int) -> str:
    with path.open("rb") as file:
        return file.read(limit).decode("utf-8", "surrogateescape")


def _booted(proc: Path) -> float:
    found = re.search(r"^btime ([0-9]+)$", _read(proc / "stat", MAPS), re.MULTILINE)
    return float(found[1]) if found else 0.0


def _ticks(stat: str) -> int:
    return int(stat.rpartition(")")[2].split()[19])


def _changed(path: Path) -> float:
    try:
        return path.stat().st_ctime
    except OSError:
        return 0.0
