"""The source `published`: the advisories of one's own publications, out of the newest world.

Whatever a publication says of a package becomes a fact here; how urgent it is, and whether its fix
is believed at all, is for two voices to say (agree.py), and no signature covers it.

Rules: a range that applies and ends with a fix gives one fact, also when it is no longer said,
since silence clears nothing (tables.py, rule 2); a flaw without a fix is a gap. Where every range
behind a fact begins with one version, that is kept as a hint.

Left out: publications that name source packages (Debian, Ubuntu, ..), since a fact names what is
installed: their distribution's signed archive tells which that is (debian.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from answerable.feeds import tables
from answerable.feeds.facts import CVES, Advisory, Artefact, read
from answerable.feeds.rows import Range
from answerable.feeds.source import Bound, Collected, Gap, Origin, State, Unusable
from answerable.feeds.world import Worlds
from answerable.kernel.errors import Refused, demand


@dataclass(frozen=True)
class Published:
    """The adapter.

    Args:
        worlds: this party's own.
        ecosystem: such as `pypi`; its packages are named as they are installed.
    """

    worlds: Worlds
    ecosystem: str
    name: str = field(default="published", init=False)

    def collect(self, packages: Sequence[str], now: int) -> Collected:
        """State what the newest world knew of these packages at POSIX second `now`.

        Raises:
            Unusable: `missing`; or as the world, if it was changed.
        """
        world = self.worlds.newest()
        if world is None:
            raise Unusable(State.MISSING, self.name, "no world yet; sync first")
        begins: dict[Advisory, set[str]] = {}
        gaps = []
        for said in self._ranges(world.folder, packages, now):
            try:
                begins.setdefault(self._fact(said), set()).add(said.introduced)
            except Refused as refusal:
                gaps.append(Gap(said.package, f"`{said.advisory[:64]}`: {refusal.detail}"))
        origin = Origin(self.name, world.root, world.time, 0)
        only = {fact: min(starts) for fact, starts in begins.items() if len(starts) == 1}
        return Collected(
            tuple(begins), (origin,), signed=False, gaps=tuple(dict.fromkeys(gaps)),
            bounds=tuple(Bound(fact.text, start) for fact, start in only.items() if start),
        )  # fmt: skip

    def obtain(self, artefact: Artefact) -> Path | None:
        """Keep no artefacts."""
        del artefact
        return None

    def _ranges(self, folder: Path, packages: Sequence[str], now: int) -> Iterator[Range]:
        for one in tables.ranges(folder, packages, now):
            said = one.row
            assert isinstance(said, Range)
            applies = said.status == "affected" and not said.withdrawn
            if applies and said.ecosystem == self.ecosystem and said.level == "binary":
                yield said

    def _fact(self, said: Range) -> Advisory:
        demand(bool(said.fixed), "malformed", "it names no fixed version")
        fact = Advisory(
            said.advisory, self.ecosystem, said.package, said.package, said.fixed, "unknown",
            said.cves[:CVES], -1, exploited=False, published=said.published,
        )  # fmt: skip
        read(fact.text)
        return fact
