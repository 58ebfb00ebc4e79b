"""File capabilities: from the words of a .rpm to the bytes that Linux keeps at a file.

`cap_net_admin,cap_net_raw=ep` is 20 bytes: a 32-bit number, 0x02000000 and 1 if the capabilities
are in effect at once, and two pairs of 32-bit sets, permitted and inheritable, all little-endian.

Sources: cap_text_formats(7), capabilities(7), linux/capability.h (VFS_CAP_REVISION_2). Left out:
capabilities of another user namespace's root (revision 3), which no package names.
"""

import re
from struct import pack

from answerable.host.driver import ArtefactDiffers

NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
    "setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw",
    "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
    "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod",
    "lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog",
    "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
)  # fmt: skip
"""The kernel's capabilities in the order of their numbers, without `cap_`."""
LENGTH = 4096
"""Longest text of capabilities, characters."""
_REVISION = 0x02000000
_CLAUSE = re.compile(r"([a-z0-9_,]*)((?:[=+-][eip]*)+)")
_ACTION = re.compile(r"([=+-])([eip]*)")
_ALL = (1 << len(NAMES)) - 1


def attribute(text: str) -> str:
    """Give the bytes of `security.capability`, in hex.

    Raises:
        ArtefactDiffers: words that are not known, or that a file cannot keep.
    """
    sets = {"e": 0, "i": 0, "p": 0}
    for word in text[:LENGTH].split():
        clause = _CLAUSE.fullmatch(word)
        if clause is None:
            raise ArtefactDiffers(f"`{word[:80]}` is no word of capabilities")
        mask = _mask(clause[1])
        for action, letters in _ACTION.findall(clause[2]):
            for letter, had in sets.items():
                if action == "=":
                    sets[letter] = had & ~mask | (mask if letter in letters else 0)
                elif letter in letters:
                    sets[letter] = had | mask if action == "+" else had & ~mask
    usable = sets["p"] | sets["i"]
    if len(text) > LENGTH or sets["e"] not in (0, usable):
        raise ArtefactDiffers(f"a file cannot keep the capabilities `{text[:80]}`")
    halves = [half for n in (0, 32) for half in (sets["p"] >> n, sets["i"] >> n)]
    flags = _REVISION | bool(sets["e"])
    return pack("<5I", flags, *(half & 0xFFFFFFFF for half in halves)).hex()


def _mask(names: str) -> int:
    if names in ("", "all"):
        return _ALL
    mask = 0
    for name in names.split(","):
        if name.removeprefix("cap_") not in NAMES:
            raise ArtefactDiffers(f"`{name[:80]}` is no capability that is known")
        mask |= 1 << NAMES.index(name.removeprefix("cap_"))
    return mask
