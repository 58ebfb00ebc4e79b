"""Facts: the leaves of a released snapshot, each one line of canonical JSON.

    {"cves":["CVE-2026-35189"],"cvss":-1,"ecosystem":"debian:12","exploited":false,
     "fixed":"3.0.22-1~deb12u2","id":"openssl@3.0.22-1~deb12u2","kind":"advisory",
     "package":"libssl3","published":1792576464,"source":"openssl","urgency":"high"}

(one line, without the spaces) says that from this version on the package has these flaws no more;
an artefact says which bytes are a version. A fact states what its publisher stated: a score that
was not given is -1, a date that was not given is 0, an urgency that was not given is `unknown`.

Left out: who vouches for a fact (candidate.py, attest.py).
"""

from dataclasses import asdict, dataclass
from functools import cached_property

from answerable.host import versions
from answerable.kernel import canon, merkle
from answerable.kernel.errors import demand

FACT = 4_096
"""Largest fact, characters; what a host's kernel reads."""
CVES = 180
"""Most flaws that one advisory names; the rest of a longer list is left out."""
TENTHS = 100
"""Highest score, in tenths."""
URGENCIES = ("unknown", "low", "medium", "high", "critical")
"""In rising order."""
_ADVISORY = {
    "kind": ("advisory",), "id": "name", "ecosystem": "name", "package": "name", "source": "name",
    "fixed": "name", "urgency": URGENCIES, "cves": ["name"], "cvss": "any", "exploited": "bool",
    "published": "int",
}  # fmt: skip
_ARTEFACT = {
    "kind": ("artefact",), "ecosystem": "name", "package": "name", "version": "name",
    "arch": "name", "sha256": "hex", "size": "int", "source": "name", "path": "name",
}  # fmt: skip


@dataclass(frozen=True)
class Advisory:
    """A flaw is gone from a version on.

    Args:
        id: of the advisory; a distribution's own are `<source>@<fixed version>`.
        ecosystem: `debian:12`, `ubuntu:24.04` or `pypi`.
        package: the binary package (deb) or the normalised project (pypi).
        source: the source package or project.
        fixed: the first version without the flaw.
        urgency: one of `URGENCIES`.
        cves: the flaws' names, sorted.
        cvss: base score in tenths, or -1.
        exploited: whether it is known to be exploited.
        published: POSIX seconds, or 0.
    """

    id: str
    ecosystem: str
    package: str
    source: str
    fixed: str
    urgency: str
    cves: tuple[str, ...]
    cvss: int
    exploited: bool
    published: int

    @cached_property
    def text(self) -> str:
        """The one spelling."""
        fields = asdict(self)
        return canon.encode({**fields, "cves": list(self.cves), "kind": "advisory"})


@dataclass(frozen=True)
class Artefact:
    """Which bytes are a version.

    Args:
        arch: `amd64`, `all`; for a wheel its tag, such as `py3-none-any`.
        sha256: hex.
        size: bytes.
        path: where its publisher keeps it, relative.
    """

    ecosystem: str
    package: str
    version: str
    arch: str
    sha256: str
    size: int
    source: str
    path: str

    @cached_property
    def text(self) -> str:
        """The one spelling."""
        return canon.encode({**asdict(self), "kind": "artefact"})


Fact = Advisory | Artefact


def leaf(fact: Fact) -> bytes:
    """Give the leaf hash of a fact in its snapshot's tree."""
    return merkle.leaf_hash(fact.text.encode())


def read(text: str) -> Fact:
    """Read a fact in its one spelling.

    Raises:
        Refused: `too_large` or `malformed`.
    """
    value = canon.decode(text.encode(errors="surrogatepass"), FACT)
    kind = value.get("kind") if isinstance(value, dict) else None
    advisory, artefact = kind == "advisory", kind == "artefact"
    demand(advisory or artefact, "malformed", "neither an advisory nor an artefact")
    demand(canon.conforms(value, _ADVISORY if advisory else _ARTEFACT), "malformed", "a fact")
    fields = {name: value[name] for name in value if name != "kind"}
    if artefact:
        versions.key(value["ecosystem"], value["version"])
        return Artefact(**fields)
    score, cves = value["cvss"], tuple(value["cves"])
    demand(type(score) is int and -1 <= score <= TENTHS, "malformed", "a score")
    demand(len(cves) <= CVES, "too_large", f"{len(cves)} flaws in one advisory")
    versions.key(value["ecosystem"], value["fixed"])
    return Advisory(**{**fields, "cves": cves})
