"""Other programs that change this host's packages by themselves: found, shown, owned or refused.

Everything is read from files; nothing is run to find out. What each is, is its `state`:

| state | meaning |
|---|---|
| `active` | it changes packages or snaps by itself, as it is set up now |
| `idle` | it runs, but only refreshes lists or waits to be asked |
| `disabled` | it is there, and nothing starts it |
| `masked` | nothing can start it until an administrator allows it again |

| rule (a setting of the host) | an upgrade is refused while |
|---|---|
| `refuse` | one is `active` |
| `own` | one is `active` or `idle`: the administrator gave updates to this agent (`own_updates`) |
| `report` | never |

Sources: systemd.unit(5), sd_booted(3), apt.conf(5), apt's apt.systemd.daily and cron.daily/
apt-compat, unattended-upgrade(8), dnf-automatic(8), snapd(8), packagekit-offline-update. Left out:
`#clear` and `#include` of apt.conf; snaps that are held; updates by cron tables of one's own, by
configuration management, and inside containers.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from answerable.host.driver import DriverFailed, last_lines, run

SETTINGS = 1 << 18
"""Most that is read of one file of settings, bytes."""
FILES = 256
"""Most files of apt's settings that are read."""
State = Literal["active", "idle", "disabled", "masked"]
RULES: Mapping[str, tuple[State, ...]] = {
    "refuse": ("active",), "own": ("active", "idle"), "report": (),
}  # fmt: skip
"""Each rule, and the states over which it refuses."""
_UNITS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system",
          "lib/systemd/system")  # fmt: skip
_MASKS = _UNITS[:2]
# A comment without an end goes on to the end, as apt has it: looking for it once is linear.
_TOKEN = re.compile(r'//[^\n]*|/\*.*?(?:\*/|\Z)|#[^\n]*|"([^"]*)"|([{};])|([^\s{};"]+)', re.DOTALL)
_APPLIES = re.compile(r"(?im)^\s*apply_updates\s*[=:]\s*(yes|true|1|on)\s*$")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class Competitor(NamedTuple):
    """One of them: `why` is for people, `units` are what owning it masks."""

    name: str
    state: State
    why: str
    units: tuple[str, ...]


class Root:
    """What the files of a host say; `starts` if it has systemd.

    Args:
        path: the host's root.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._apt: dict[str, str] | None = None
        self.starts = any(self.has(f"{d}/systemd/systemd") for d in ("lib", "usr/lib"))

    def has(self, path: str) -> bool:
        """Tell whether a path is there."""
        found = self._path / path
        return found.exists() or found.is_symlink()

    def text(self, path: str) -> str:
        """Give the start of a file, nothing if it cannot be read."""
        try:
            with (self._path / path).open("rb") as file:
                return file.read(SETTINGS).decode("utf-8", "replace")
        except OSError:
            return ""

    def unit(self, name: str, *, asked: bool = False) -> State | None:
        """Tell whether systemd starts a unit; none if there is no such unit.

        Args:
            asked: it is started over the bus or a socket, so it need not be enabled.
        """
        places = [self._path / folder for folder in _UNITS]
        if any(_is_mask(self._path / folder / name) for folder in _MASKS):
            return "masked"
        if not any((place / name).exists() or (place / name).is_symlink() for place in places):
            return None
        ends = ("wants", "requires")
        links = [f / name for p in places for end in ends for f in p.glob(f"*.{end}")]
        # They are seen, not followed: in another root they lead nowhere.
        wanted = asked or any(link.is_symlink() or link.exists() for link in links)
        return "idle" if self.starts and wanted else "disabled"

    def apt(self, name: str) -> str:
        """Give a setting of apt, nothing if it is not set."""
        if self._apt is None:
            folder = self._path / "etc/apt/apt.conf.d"
            names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
            sound = [n for n in names if re.fullmatch(r"[\w-]+(\.conf)?", n, re.ASCII)][:FILES]
            files = [*(f"etc/apt/apt.conf.d/{n}" for n in sound), "etc/apt/apt.conf"]
            self._apt = apt_settings(self.text(file) for file in files)
        return self._apt.get(name.lower(), "")


def apt_settings(texts: Iterable[str]) -> dict[str, str]:
    """Read files of apt.conf(5): name in lower case -> value, of which the last one holds."""
    found = dict[str, str]()
    for text in texts:
        words, scopes = list[str](), list[str]()
        for match in _TOKEN.finditer(text):
            quoted, mark, word = match.groups()
            if mark == "{":
                scopes.append("::".join([*scopes[-1:], *words[:1]]))
                words = []
            elif mark:
                if len(words) > 1:
                    found["::".join([*scopes[-1:], words[0]]).lower()] = words[1]
                words = []
                scopes = scopes[:-1] if mark == "}" else scopes
            elif quoted is not None or word:
                words.append(word or quoted or "")
    return found


def find(path: Path) -> list[Competitor]:
    """Give every competing updater of the host whose root this is, by name."""
    root = Root(path)
    rows = (look(root) for look in _LOOKS)
    return [row for row in rows if row]


def refusal(found: Sequence[Competitor], rule: str) -> str:
    """Give why an upgrade is refused under a rule of `RULES`; nothing if it is not."""
    bad = [one for one in found if one.state in RULES[rule]]
    if not bad:
        return ""
    told = "; ".join(f"`{one.name}` is {one.state}: {one.why}" for one in bad)
    return f"{told}; run `own-updates` on this host, or switch it off by its own settings"


def own_updates(path: Path, log: Path) -> list[str]:
    """Mask every unit of every competing updater; give the units that were masked now.

    This is an administrator's act: no order can ask for it. `systemctl unmask` takes it back.

    Args:
        log: file for what systemctl says; it is asked only where systemd runs.

    Raises:
        DriverFailed: a unit has a file of the administrator's own in the way, or systemctl failed.
    """
    done, home = list[str](), path / "etc/systemd/system"
    root = Root(path)
    units = [unit for one in find(path) for unit in one.units]
    for unit in [unit for unit in units if root.unit(unit) not in (None, "masked")]:
        try:
            home.mkdir(parents=True, exist_ok=True)
            (home / unit).symlink_to("/dev/null")
        except OSError as error:
            raise DriverFailed(f"cannot mask `{home / unit}`: {error.strerror}") from error
        done.append(unit)
    if done and (path / "run/systemd/system").is_dir():
        for words in (["daemon-reload"], ["stop", "--", *done]):
            ran = run(["systemctl", "--no-ask-password", *words], log, _ENVIRONMENT)
            if ran.code:
                raise DriverFailed(f"`systemctl {words[0]}` failed: {last_lines(ran.output)}")
    return done


def _is_mask(path: Path) -> bool:
    # systemd.unit(5): a link to /dev/null, or an empty file.
    if path.is_symlink():
        return str(path.readlink()) == "/dev/null"
    return path.is_file() and path.stat().st_size == 0


def _said(
    name: str, units: tuple[str, ...], state: State | None, acts: str, rests: str
) -> Competitor | None:
    """Give a competitor whose timer or service is in `state`; it is active if `acts` says how."""
    if state is None:
        return None
    if state != "idle":
        why = "no unit of it can start" if state == "masked" else "nothing starts it"
        return Competitor(name, state, why, units)
    return Competitor(name, "active" if acts else "idle", acts or rests, units)


def _on(value: str) -> bool:
    return value not in ("", "0", "false", "no")


def _periodic(root: Root, unit: str) -> State | None:
    """Give how apt.systemd.daily is started: by a timer, or by cron where systemd does not run."""
    state = root.unit(unit)
    crons = ("usr/sbin/cron", "usr/sbin/anacron", "usr/sbin/crond", "usr/sbin/cronie")
    by_cron = root.has("etc/cron.daily/apt-compat") and any(map(root.has, crons))
    if by_cron and not root.starts:
        state = "idle"
    return "disabled" if state == "idle" and root.apt("APT::Periodic::Enable") == "0" else state


def _apt_daily(root: Root) -> Competitor | None:
    units = ("apt-daily.timer", "apt-daily.service")
    return _said("apt-daily", units, _periodic(root, units[0]), "", "it refreshes lists at most")


def _apt_upgrade(root: Root) -> Competitor | None:
    units = ("apt-daily-upgrade.timer", "apt-daily-upgrade.service")
    acts = _on(root.apt("APT::Periodic::Unattended-Upgrade"))
    acts = acts and root.has("usr/bin/unattended-upgrade")
    how = "`APT::Periodic::Unattended-Upgrade` is set" if acts else ""
    rests = "it has nothing to install with"
    return _said("apt-daily-upgrade", units, _periodic(root, units[0]), how, rests)


def _unattended(root: Root) -> Competitor | None:
    unit = "unattended-upgrades.service"
    acts = _on(root.apt("Unattended-Upgrade::InstallOnShutdown").lower())
    how = "`Unattended-Upgrade::InstallOnShutdown` is set" if acts else ""
    return _said("unattended-upgrades", (unit,), root.unit(unit), how,
                 "it waits for what `apt-daily-upgrade` started")  # fmt: skip


def _dnf_automatic(root: Root) -> Competitor | None:
    stems = ("dnf-automatic", "dnf-automatic-install", "dnf-automatic-download",
             "dnf-automatic-notifyonly", "dnf5-automatic")  # fmt: skip
    units = tuple(f"{stem}.timer" for stem in stems)
    states = {unit: state for unit in units if (state := root.unit(unit))}
    on = [unit for unit, state in states.items() if state == "idle"]
    configs = ("etc/dnf/automatic.conf", "etc/dnf/dnf5-plugins/automatic.conf")
    applies = any(_APPLIES.search(root.text(config)) for config in configs)
    acts = [u for u in on if "install" in u or (applies and u in (units[0], units[4]))]
    none: State | None = "disabled" if states else None
    rest: State | None = "masked" if set(states.values()) == {"masked"} else none
    return _said("dnf-automatic", tuple(states), "idle" if on else rest,
                 f"`{acts[0]}` installs updates" if acts else "",
                 "it downloads or tells at most")  # fmt: skip


def _dnf_makecache(root: Root) -> Competitor | None:
    unit = "dnf-makecache.timer"
    return _said("dnf-makecache", (unit,), root.unit(unit), "", "it refreshes lists")


def _snapd(root: Root) -> Competitor | None:
    units = ("snapd.service", "snapd.socket")
    states = [state for unit in units if (state := root.unit(unit))]
    state = next((s for s in ("idle", "disabled", "masked") if s in states), None)
    return _said("snapd", units, state, "it refreshes snaps by itself", "")


def _packagekit(root: Root) -> Competitor | None:
    units = ("packagekit.service", "packagekit-offline-update.service")
    prepared = root.has("system-update") and root.unit(units[1]) not in (None, "masked")
    how = "an update is prepared for the next start" if prepared else ""
    state = "idle" if prepared else root.unit(units[0], asked=True)
    return _said("packagekit", units, state, how, "it installs when a user asks over the bus")


_LOOKS: tuple[Callable[[Root], Competitor | None], ...] = (
    _apt_daily, _apt_upgrade, _unattended, _dnf_automatic, _dnf_makecache, _snapd, _packagekit,
)  # fmt: skip
