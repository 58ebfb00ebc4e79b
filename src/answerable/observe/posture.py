"""A host's posture, from its disk: who may become whom, what starts by itself, what is trusted.

    {"accounts":{"etc/passwd root":"0:0:/root:/bin/bash",..},
     "units":{"usr/lib/systemd/system/ssh.service":"0:0 644 <sha256>",..}, ..}

Rules:

1. One walk of the root, without following a single symbolic link, staying on the host's own file
   systems, and opening plain files only: the disk may belong to an attacker, who would otherwise
   point us at our own files or at a pipe.
2. Keys that rpm has imported (`gpg-pubkey`) are `sources`, as repositories and their keys are.
   `setuid` and `capabilities` are looked for on every file, the rest in the places of `WATCHED`.
   A link is an entry with its target. Passwords are never read; `etc/shadow` is not watched.
3. What cannot be read is listed in `unread`: silence proves nothing.
4. Two postures of an unchanged disk are equal. A name with a backslash or anything unprintable is
   spelt with escapes.

Sources: passwd(5), group(5), capabilities(7), systemd.unit(5), crontab(5), sudoers(5), sshd(8),
apt-secure(8), rpmkeys(8), crypto-policies(7), ld.so(8). Left out: what runs now (runtime.py); what
a difference means (drift.py).
"""

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from answerable.observe.inside import shown
from answerable.observe.look import Unseen
from answerable.observe.rpmdb import keys, present

FILE = 4 << 20
"""How much of a watched file is read, bytes; a longer one is known by its beginning and size."""
PATHS = 2_000_000
"""Most paths that are looked at."""
ENTRIES = 100_000
"""Most entries of a posture."""
UNREAD = 1_000
"""Most paths of `unread`."""
ROWS = 65_536
"""Most rows of an account file or of a file of keys."""

WATCHED = {
    "sudo": ("etc/sudoers", "etc/sudoers.d/", "etc/doas.conf", "etc/polkit-1/"),
    "pam": ("etc/pam.d/", "etc/security/", "etc/nsswitch.conf"),
    "units": (
        "etc/systemd/", "lib/systemd/", "usr/lib/systemd/", "usr/local/lib/systemd/",
        "etc/init.d/", "etc/rc.local", "etc/inittab",
    ),
    "cron": (
        "etc/crontab", "etc/anacrontab", "etc/cron.d/", "etc/cron.hourly/", "etc/cron.daily/",
        "etc/cron.weekly/", "etc/cron.monthly/", "var/spool/cron/", "var/spool/anacron/",
    ),
    "sources": (
        "etc/apt/", "usr/share/keyrings/", "etc/yum.conf", "etc/yum/", "etc/yum.repos.d/",
        "etc/dnf/", "etc/pki/rpm-gpg/", "etc/zypp/repos.d/", "etc/rpm/", "usr/lib/rpm/macros.d/",
        "usr/lib/sysimage/rpm/pubkeys/", "var/lib/rpm/pubkeys/",
    ),
    "loader": ("etc/ld.so.preload", "etc/ld.so.conf", "etc/ld.so.conf.d/", "etc/environment"),
    "modules": (
        "etc/modprobe.d/", "etc/modules", "etc/modules-load.d/", "lib/modprobe.d/",
        "usr/lib/modprobe.d/", "usr/lib/modules-load.d/",
    ),
    "sysctl": ("etc/sysctl.conf", "etc/sysctl.d/", "usr/lib/sysctl.d/", "lib/sysctl.d/"),
    "udev": ("etc/udev/", "lib/udev/rules.d/", "usr/lib/udev/rules.d/"),
    "trust": (
        "etc/ca-certificates.conf", "etc/ssl/certs/", "usr/local/share/ca-certificates/",
        "etc/pki/ca-trust/",
    ),
    "ssh": ("etc/ssh/",),
    "crypto": ("etc/crypto-policies/",),
    "firewall": (
        "etc/nftables.conf", "etc/nftables/", "etc/iptables/", "etc/ufw/", "etc/firewalld/",
        "etc/sysconfig/nftables.conf", "etc/sysconfig/iptables", "etc/sysconfig/ip6tables",
    ),
    "lsm": ("etc/selinux/config", "etc/apparmor.d/", "etc/apparmor/"),
    "shells": ("etc/profile", "etc/profile.d/", "etc/bash.bashrc", "etc/bashrc", "etc/shells"),
    "diversions": ("var/lib/dpkg/diversions", "var/lib/dpkg/statoverride"),
}  # fmt: skip
"""Section -> plain files, and folders with a `/` behind."""
SECTIONS = ("accounts", "setuid", "capabilities", "authorized_keys", *WATCHED)
_ACCOUNTS = ("etc/passwd", "etc/group")
_RUNTIME = frozenset({"proc", "sys", "dev", "run"})
_SPECIAL = stat.S_ISUID | stat.S_ISGID
_SECTION = {place: section for section, places in WATCHED.items() for place in places}

Sections = dict[str, dict[str, str]]


@dataclass
class Posture:
    """Section -> entry -> what it is; and the paths that could not be read, sorted."""

    sections: Sections = field(default_factory=lambda: {name: {} for name in SECTIONS})
    unread: list[str] = field(default_factory=list)


class _Entry(NamedTuple):
    """One name in one open folder, and the section that the folder belongs to, if any."""

    path: str
    name: str
    folder: int
    section: str
    stat: os.stat_result


def posture(root: Path, devices: Collection[int] = ()) -> Posture:
    """Look at a host's disk once.

    Args:
        devices: numbers of further file systems that are the host's own.

    Raises:
        Unseen: if there is no such disk, or it has more paths than anybody's.
    """
    found = Posture()
    try:
        own = {root.lstat().st_dev, *devices}
    except OSError as error:
        raise Unseen(f"`{root}`: {error.strerror}; is the host's disk there?") from error
    try:
        for number, entry in enumerate(_walk(root, own, found)):
            _take(entry, found)
            if number > PATHS:
                raise Unseen(f"`{root}` has more than {PATHS} paths")
    except RecursionError as error:
        raise Unseen(f"`{root}` has folders nested deeper than can be walked") from error
    if present(root):
        found.sections["sources"] |= keys(root)
    if sum(map(len, found.sections.values())) > ENTRIES:
        raise Unseen(f"`{root}` has more than {ENTRIES} entries that would have to be kept")
    found.unread = sorted(found.unread)[:UNREAD]
    return found


def _walk(root: Path, own: set[int], found: Posture) -> Iterator[_Entry]:
    def unread(error: OSError) -> None:
        found.unread.append(shown(os.path.relpath(error.filename or root, root)))

    for top, folders, files, folder in os.fwalk(root, onerror=unread):
        below = os.path.relpath(top, root)
        prefix, kept = "" if below == "." else f"{below}/", []
        section = _section(prefix)
        for name in sorted([*folders, *files]):
            if not prefix and name in _RUNTIME:
                continue
            try:
                about = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except OSError:
                found.unread.append(shown(f"{prefix}{name}"))
                continue
            if not stat.S_ISDIR(about.st_mode):
                yield _Entry(shown(f"{prefix}{name}"), name, folder, section, about)
            elif about.st_dev in own:
                kept.append(name)
        folders[:] = kept


def _take(entry: _Entry, found: Posture) -> None:
    path, mode, sections = entry.path, entry.stat.st_mode, found.sections
    if stat.S_ISREG(mode):
        if mode & _SPECIAL:
            sections["setuid"][path] = _owned(entry.stat)
        if mode & 0o111 and (capability := _capability(entry)):
            sections["capabilities"][path] = capability
    if path in _ACCOUNTS:
        sections["accounts"] |= {f"{path} {k}": v for k, v in _accounts(_read(entry, found))}
    elif "/.ssh/authorized_keys" in f"/{path}":
        sections["authorized_keys"] |= _keys(entry, found)
    elif (section := entry.section or _SECTION.get(path, "")) and (what := _what(entry, found)):
        sections[section][path] = what


def _section(folder: str) -> str:
    """Give the section of a folder, spelt with a `/` behind."""
    ends = (at for at, letter in enumerate(folder, 1) if letter == "/")
    return next((_SECTION[folder[:at]] for at in ends if folder[:at] in _SECTION), "")


def _owned(about: os.stat_result) -> str:
    return f"{about.st_uid}:{about.st_gid} {stat.S_IMODE(about.st_mode):o}"


def _what(entry: _Entry, found: Posture) -> str:
    if stat.S_ISLNK(entry.stat.st_mode):
        return f"-> {shown(os.readlink(entry.name, dir_fd=entry.folder))}"
    if not stat.S_ISREG(entry.stat.st_mode):
        return f"{_owned(entry.stat)} no plain file"
    data = _read(entry, found)
    if data is None:
        return ""
    size = f" {entry.stat.st_size}" if entry.stat.st_size > FILE else ""
    return f"{_owned(entry.stat)} {sha256(data).hexdigest()}{size}"


def _read(entry: _Entry, found: Posture) -> bytes | None:
    # O_NONBLOCK: a pipe put in the file's place between stat and open must not hold us.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        opened = os.open(entry.name, flags, dir_fd=entry.folder)
        with os.fdopen(opened, "rb") as file:
            if stat.S_ISREG(os.fstat(opened).st_mode):
                return file.read(FILE)
    except OSError:
        pass
    found.unread.append(entry.path)
    return None


def _capability(entry: _Entry) -> str:
    # The system call takes no folder and name; the folder's own place in /proc does.
    place = f"/proc/self/fd/{entry.folder}/{entry.name}"
    try:
        return os.getxattr(place, "security.capability", follow_symlinks=False).hex()
    except OSError:
        return ""


def _accounts(data: bytes | None) -> Iterator[tuple[str, str]]:
    # passwd(5): name:password:uid:gid:comment:home:shell; group(5): name:password:gid:members.
    for row in (data or b"").decode(errors="replace").split("\n")[:ROWS]:
        name, *rest = row.split(":")
        if len(rest) > 1:
            yield name, ":".join([*rest[1:3], *rest[4:]])


def _keys(entry: _Entry, found: Posture) -> dict[str, str]:
    rows = (_read(entry, found) or b"").splitlines()[:ROWS]
    keys = [row.strip() for row in rows if row.strip() and not row.lstrip().startswith(b"#")]
    return {f"{entry.path} {sha256(key).hexdigest()}": _owned(entry.stat) for key in keys}
