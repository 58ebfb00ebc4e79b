"""What publications say, in two shapes: which versions a flaw is in, and what is said about it.

Rules:

1. A row names its channel: the way by which it came, not only its author. Two rows of one channel
   are one voice (agree.py).
2. A row says what its publisher said. What was not said is empty or 0; nothing is guessed, and
   nothing is translated but the names of ecosystems.
3. Rows are not facts. No host ever sees one; agree.py makes facts of them, and attesters vouch for
   those.

Left out: who is believed.
"""

from dataclasses import dataclass
from typing import Literal

Level = Literal["source", "binary"]
"""Whether a package's name is that of a source package or of what is installed."""
Status = Literal["affected", "not_affected", "end_of_life"]
"""`not_affected` is a publisher's word that a flaw is not in the package (VEX); `end_of_life` that
nobody looks any more. Silence is neither."""


@dataclass(frozen=True, slots=True)
class Range:
    """An advisory's word on some versions of one package.

    Args:
        channel: such as `osv/almalinux` or `csaf/redhat`.
        advisory: its id there.
        ecosystem: `debian:12`, `ubuntu:24.04`, `almalinux:9`, `pypi`, `go`, `npm`, ...
        package: as `level` says.
        introduced: the first version that has the flaw; empty if from the beginning.
        fixed: the first version without it; empty if there is none yet.
        last: the last version that has it, if that is said instead of `fixed`.
        cves: the flaws' names, sorted.
        urgency: one of `facts.URGENCIES`.
        published: POSIX seconds, or 0; so are `modified` and `withdrawn`.
        withdrawn: since when the advisory is taken back; 0 if it is in force.
    """

    channel: str
    advisory: str
    ecosystem: str
    package: str
    level: Level
    status: Status
    introduced: str
    fixed: str
    last: str
    cves: tuple[str, ...]
    urgency: str
    published: int
    modified: int
    withdrawn: int


Field = Literal[
    "exploited", "cvss", "epss", "epss_percentile", "kev_added", "kev_due", "kev_ransomware",
    "ssvc_exploitation", "ssvc_automatable", "ssvc_technical_impact", "cwe", "cna", "vendor",
    "product", "title", "description", "published", "rejected", "references", "exploit",
]  # fmt: skip
"""What may be said about a flaw. Values are text: `yes` or `no`, a CVSS vector, a decimal as its
publisher wrote it, a time as POSIX seconds, a comma-separated sorted list."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that a channel says about a flaw.

    Args:
        channel: such as `kev`, `epss`, `nvd`, `vulnrichment`.
        subject: the flaw's name, `CVE-2024-3094`.
        value: untrusted text; shown as plain text only.
        said: when the publisher said so, POSIX seconds; 0 if it does not say.
    """

    channel: str
    subject: str
    field: Field
    value: str
    said: int


Row = Range | Claim
