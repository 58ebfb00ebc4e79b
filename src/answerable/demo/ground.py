"""What the story stands on: hosts with packages that have pending updates, of the better kind.

Real hosts where the machine was tried and can carry them, application hosts elsewhere; it says
which and why. Everything is kept below one directory: `cache/` (tree, mirror, wheels) and `hosts/`.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from answerable.demo import apphosts, appliance, basetree, fleet, mirror
from answerable.demo.distribution import this_machine
from answerable.demo.hosts import FleetFailed, Hosts
from answerable.kernel.errors import Unavailable

MIRROR_UID = 60_100
"""Who serves the mirror."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Pending:
    """A pending update that was found: binary package, its source, the versions around it."""

    package: str
    source: str
    before: str
    after: str


@dataclass(frozen=True)
class Ground:
    """Hosts that are up, and where their updates come from.

    Args:
        kind: `real` or `application`.
        why: why not real hosts; nothing if they are.
        hosts: the hosts.
        ecosystem: of their packages.
        feed: folder of the mirror (with a folder for each suite), or of the wheels.
        pending: what can be updated today.
        expired: suites that are past their Valid-Until.
        clone: root directory that is what each host was, where there is one.
    """

    kind: str
    why: str
    hosts: Hosts
    ecosystem: str
    feed: Path
    pending: tuple[Pending, ...]
    expired: tuple[str, ...] = ()
    clone: Path | None = None

    def pin(self, host: str, package: str) -> None:
        """Make a host's service refuse a newer version of `package` than it has now.

        A Debian package is pinned by its version, a project by a name that its new release lacks.
        """
        update = next(p for p in self.pending if p.package == package)
        if isinstance(self.hosts, apphosts.AppHosts):
            release = next(r for r in apphosts.RELEASES if r.package == package)
            assert release.removed, package
            self.hosts.configure(host, imports=[release.removed])
        else:
            _configure(self.hosts, host, self.pending, {package: update.before})

    def start_services(self) -> None:
        """Start every host's service, as at boot."""
        for host in self.hosts.names:
            if isinstance(self.hosts, apphosts.AppHosts):
                self.hosts.services(host).restart(appliance.UNIT)
            else:
                argv = ["/usr/sbin/service", appliance.UNIT, "start"]
                if self.hosts.start_in(host, argv).wait():
                    raise FleetFailed(f"the service of `{host}` did not start")


def lay(directory: Path, names: Sequence[str], now: int, say: Say) -> Ground:
    """Give hosts of these names, up and fresh, their services not yet started.

    Args:
        directory: everything is kept here.
        names: of the hosts.
        now: POSIX seconds.
        say: told what is being done.

    Raises:
        Unavailable: neither kind can be had; the reason is that of application hosts.
    """
    directory.mkdir(parents=True, exist_ok=True)
    why = fleet.probe(directory)
    if not why:
        try:
            return _real(directory, names, now, say)
        except Unavailable as error:
            why = str(error)
    say(f"using application hosts, for {why}")
    return lay_application(directory, names, why, say)


def _real(directory: Path, names: Sequence[str], now: int, say: Say) -> Ground:
    cache = directory / "cache"
    cache.mkdir(exist_ok=True)
    distribution = this_machine()
    root = cache / "mirror"
    release = mirror.fetch_release(root, distribution.main)
    mirror.fetch_release(root, distribution.security)
    tree = basetree.base_tree(cache, distribution, release, appliance.build_deb(cache), say)
    made = mirror.make_mirror(root, distribution, basetree.installed(tree), now)
    if not made.updates:
        raise FleetFailed("no installed package has a pending security update today")
    pending = tuple(
        Pending(u.new.package, u.new.source, u.old.version, u.new.version) for u in made.updates
    )
    hosts = fleet.Fleet(directory)
    try:
        hosts.up(names, tree)
        address, _, port = basetree.MIRROR.partition(":")
        assert address == "mirror"
        server = made.serve(sys.executable, hosts.hub_address, int(port))
        hosts.run_in_hub(server, MIRROR_UID)
        for host in names:
            _configure(hosts, host, pending, {})
    except BaseException:
        hosts.down()
        raise
    return Ground("real", "", hosts, distribution.ecosystem, root, pending, made.expired, tree)


def _configure(hosts: Hosts, host: str, pending: Sequence[Pending], pinned: dict[str, str]) -> None:
    packages = [p.package for p in pending]
    file = hosts.root(host) / appliance.CONFIG
    appliance.configure(file, packages=packages, pinned=pinned)


def lay_application(directory: Path, names: Sequence[str], why: str, say: Say) -> Ground:
    """Give application hosts, whatever the machine could carry; as `lay`."""
    hosts = apphosts.AppHosts(directory)
    hosts.up(names, say)
    pending = tuple(Pending(r.package, r.package, r.old, r.new) for r in apphosts.RELEASES)
    feed = apphosts.wheelhouse(directory / "cache", say)
    return Ground("application", why, hosts, "pypi", feed, pending)
