"""Versions to compare, real and damaged, and the reference tools that say how they compare."""

import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
from nodesemver import compare as node_compare  # type: ignore[import-untyped]
from packaging.version import Version
from univers.versions import AlpineLinuxVersion, InvalidVersion, NugetVersion

DATA = Path(__file__).parents[2].parent / "shared" / "data"
PYTHON = "/usr/bin/python3"
"""The distribution's own, which has the package tools' bindings."""
Pair = tuple[str, str]
_SIGN = "lambda x: (x > 0) - (x < 0)"
_ASK = {
    "apt_pkg": "import apt_pkg; apt_pkg.init_system(); compare = apt_pkg.version_compare",
    "rpm": (
        "import rpm\n"
        "def evr(text):\n"
        "    epoch, colon, rest = text.rpartition(':')\n"
        "    version, _, release = rest.partition('-')\n"
        "    return (epoch or '0', version, release)\n"
        "compare = lambda a, b: rpm.labelCompare(evr(a), evr(b))"
    ),
}
_LOOP = (
    f"\nimport sys\nsign = {_SIGN}\nfor line in sys.stdin:\n"
    "    old, new = line.rstrip('\\n').split('\\t')\n    print(sign(compare(old, new)))\n"
)


def bound(module: str) -> bool:
    """Tell whether the distribution's Python has the bindings of a package tool."""
    if not shutil.which(PYTHON):
        return False
    words = [PYTHON, "-I", "-c", f"import {module}"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def by_binding(module: str, pairs: Sequence[Pair]) -> list[int]:
    """Ask `apt_pkg` or `rpm` for the order of each pair, -1, 0 or 1."""
    text = "".join(f"{old}\t{new}\n" for old, new in pairs)
    words = [PYTHON, "-I", "-c", _ASK[module] + _LOOP]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


RUBY = shutil.which("ruby")
_GEMS = (
    'STDIN.each_line do |line|\n  old, new = line.chomp.split("\\t", -1)\n'
    "  puts Gem::Version.new(old) <=> Gem::Version.new(new)\nend"
)


def by_ruby(pairs: Sequence[Pair]) -> list[int]:
    """Ask RubyGems for the order of each pair, -1, 0 or 1."""
    assert RUBY, "asked only where it is"
    text = "".join(f"{old}\t{new}\n" for old, new in pairs)
    words = [RUBY, "-e", _GEMS]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def _each(sign: Callable[[str, str], int]) -> Callable[[Sequence[Pair]], list[int]]:
    return lambda pairs: [sign(old, new) for old, new in pairs]


def _packaging(old: str, new: str) -> int:
    return (Version(old) > Version(new)) - (Version(old) < Version(new))


def _node(old: str, new: str) -> int:
    return int(node_compare(_three(old), _three(new), loose=False))


def _three(version: str) -> str:
    core = version[: len(version) - len(version.lstrip("v0123456789."))]
    return core + ".0" * (2 - core.count(".")) + version[len(core) :]


def _univers(old: str, new: str) -> int:
    a, b = AlpineLinuxVersion(old), AlpineLinuxVersion(new)
    return int(a > b) - int(a < b)


def _nuget(old: str, new: str) -> int:
    a, b = NugetVersion(old), NugetVersion(new)
    return int(a > b) - int(a < b)


def known_to_nuget(version: str) -> bool:
    """Tell whether univers knows a version; it is stricter, and takes no zero before a number."""
    try:
        NugetVersion(version)
    except InvalidVersion:
        return False
    return True


by_packaging, by_node, by_univers = _each(_packaging), _each(_node), _each(_univers)
by_nuget = _each(_nuget)

_PIECES = {
    "debian:12": ["0", "1", "9", "10", "2023", ".", "~", "+", "a", "rc", "deb12u", "-", "Z", ":"],
    "almalinux:9": ["0", "1", "09", "10", ".", "~", "^", "_", "+", "a", "rc", "el9", "-", "Z"],
    "pypi": ["0", "1", "10", ".", "a1", "b2", "rc1", ".post1", ".dev0", "+local", "!", "00"],
    "npm": ["0", "1", "10", ".", "-", "+", "alpha", "beta", "rc.1", "x", "01"],
    "rubygems": ["0", "1", "10", "00", ".", "-", "a", "rc1", "pre", "Z", ".0", ".0.0.", "b.0.1"],
    "nuget": ["0", "1", "10", ".", "-", "+", "alpha", "BETA", "rc.1", "x", "01", "2147483648"],
    "alpine:3.19": ["0", "1", "10", ".", "01", "a", "_alpha", "_rc1", "_p2", "_git", "-r1", "-r"],
}


def mutated(chance: random.Random, ecosystem: str, version: str) -> str:
    """Give a version with one piece put in, taken out or changed; it may be none any more."""
    at = chance.randrange(len(version) + 1)
    end = min(len(version), at + chance.randrange(3))
    piece = chance.choice([*_PIECES[ecosystem], ""])
    return version[:at] + piece + version[end:]


def pairs(chance: random.Random, ecosystem: str, real: Sequence[str], count: int) -> list[Pair]:
    """Choose pairs: a third at random, the others a version and what damage makes of it."""
    found = []
    for number in range(count):
        old = chance.choice(real)
        new = chance.choice(real) if number % 3 == 0 else mutated(chance, ecosystem, old)
        found.append((old, new))
    return found


def real_versions(ecosystem: str) -> list[str]:
    """Give the distinct versions of the shared real data, sorted."""
    family = ecosystem.partition(":")[0]
    osv = duckdb.read_parquet(f"{DATA}/osv_fixed_versions.parquet")
    fixed = osv.filter(f"ecosystem ilike '{'go' if family == 'npm' else family}%'")
    found = fixed.project("unnest(fixed)")
    if family == "debian":
        notices = duckdb.read_parquet(f"{DATA}/debian_dsa_dla.parquet")
        changes = duckdb.read_parquet(f"{DATA}/debian_changelog_cves.parquet")
        found = notices.project("split_part(unnest(fixed), ' ', -1)")
        found = found.union(changes.project("version"))
    return sorted({row[0] for row in found.fetchall() if row[0]})
