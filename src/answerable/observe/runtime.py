"""What runs on a host, from its `/proc` and `/sys`: more of its posture, and stale programs.

| section | entries |
|---|---|
| `listening` | `tcp 0.0.0.0:22` -> uid; UDP sockets that are bound likewise |
| `loaded` | kernel modules, without sizes, which vary |
| `settings` | those of `SETTINGS` that this kernel has |
| `confinement` | security modules in force, SELinux's and AppArmor's mode |

Rules: pseudo files are read with a limit; what is absent is absent, what cannot be read is in
`unread`. A program is stale while it maps, executable, a file that was replaced or removed: the
new version is installed and not in effect.

Sources: proc(5), proc_pid_maps(5), the kernel's own page on proc_net_tcp. Left out: live firewall
rules, which only a netlink socket tells; programs of other mount namespaces than `/proc`'s own.
"""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

from answerable.observe.posture import Posture

TABLE = 16 << 20
"""How much of a table of the kernel is read, bytes."""
PIECE = 65_536
"""How much is asked of the kernel at once, bytes."""
PROGRAMS = 100_000
"""Most processes that are looked at."""
STALE = 200
"""Most stale programs that are named."""
SETTINGS = (
    "kernel/randomize_va_space", "kernel/kptr_restrict", "kernel/dmesg_restrict",
    "kernel/yama/ptrace_scope", "kernel/unprivileged_bpf_disabled", "kernel/modules_disabled",
    "kernel/unprivileged_userns_clone", "kernel/kexec_load_disabled", "kernel/sysrq",
    "kernel/core_pattern", "kernel/modprobe", "fs/protected_symlinks", "fs/protected_hardlinks",
    "fs/protected_fifos", "fs/protected_regular", "fs/suid_dumpable", "net/ipv4/ip_forward",
    "net/ipv4/tcp_syncookies", "net/ipv4/conf/all/rp_filter", "net/ipv4/conf/all/accept_redirects",
    "net/ipv4/conf/all/accept_source_route", "net/ipv6/conf/all/forwarding",
)  # fmt: skip
"""Below `/proc/sys`."""
MODES = (
    "kernel/security/lsm", "kernel/security/lockdown", "fs/selinux/enforce",
    "module/apparmor/parameters/enabled", "kernel/security/apparmor/profiles",
)  # fmt: skip
"""Below `/sys`."""
_LISTENS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
_MAPPED = re.compile(r"^[0-9a-f]+-[0-9a-f]+ ..x. \S+ \S+ \S+ +(/.*) \(deleted\)$", re.MULTILINE)
# Anonymous memory that the kernel names like a removed file.
_NO_FILE = ("/memfd:", "/dev/", "/SYSV", "/[aio]", "/anon_hugepage", "/i915")


def running(proc: Path, sys: Path) -> Posture:
    """Give the sections of what runs now."""
    found = Posture(sections={})
    found.sections["listening"] = dict(_listening(proc, found))
    rows = _read(proc / "modules", found).splitlines()
    found.sections["loaded"] = {row.split(" ", 1)[0]: "loaded" for row in rows}
    found.sections["settings"] = _values(proc / "sys", SETTINGS, found)
    found.sections["confinement"] = _values(sys, MODES, found)
    return found


def _listening(proc: Path, found: Posture) -> Iterator[tuple[str, str]]:
    for kind, state in _LISTENS.items():
        for row in _read(proc / "net" / kind, found).splitlines()[1:]:
            words = row.split()
            if len(words) > 7 and words[3] == state:  # noqa: PLR2004  sl local remote st .. uid
                yield f"{kind} {_address(words[1])}", f"uid {words[7]}"


def _address(spelt: str) -> str:
    # Words of 32 bits in the machine's own order, then the port, both in hex.
    number, _, port = spelt.partition(":")
    try:
        raw = b"".join(
            int(number[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(number), 8)
        )
        family = socket.AF_INET6 if len(raw) > 4 else socket.AF_INET  # noqa: PLR2004
        return f"{socket.inet_ntop(family, raw)}:{int(port, 16)}"
    except (ValueError, OverflowError):
        return spelt


def _values(base: Path, names: tuple[str, ...], found: Posture) -> dict[str, str]:
    said = {name: _read(base / name, found).strip() for name in names if (base / name).exists()}
    return {name: " ".join(value.split()) for name, value in said.items()}


def stale(proc: Path, root: Path | None = None) -> list[str]:
    """Name the programs that still use what was replaced: `nginx: /usr/lib/x/libssl.so.3`.

    Args:
        proc: a `/proc` that shows them.
        root: of a container that is looked at from outside: only programs whose root it is count.
    """
    found = set()
    numbers = [each for each in proc.iterdir() if each.name.isdigit()][:PROGRAMS]
    if root is not None:
        numbers = [each for each in numbers if _same(each / "root", root)]
    for process in numbers:
        maps = _text(process / "maps") or ""
        for path in _MAPPED.findall(maps):
            if not path.startswith(_NO_FILE):
                name = (_text(process / "comm") or "?").strip()
                found.add(ascii(f"{name}: {path}")[1:-1])
    return sorted(found)[:STALE]


def _same(link: Path, root: Path) -> bool:
    try:
        return link.samefile(root)
    except OSError:  # it has ended, or is another user's
        return False


def _read(file: Path, found: Posture) -> str:
    text = _text(file)
    if text is None and file.exists():
        found.unread.append(str(file))
    return text or ""


def _text(file: Path) -> str | None:
    # A process may end between two reads. Settings of the kernel refuse to be read in large pieces.
    data = b""
    try:
        with file.open("rb", buffering=0) as opened:
            while len(data) < TABLE and (part := opened.read(PIECE)):
                data += part
    except OSError:
        return None
    return data.decode(errors="replace")
