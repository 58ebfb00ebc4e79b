"""What a .rpm ships, from its header: each file's SHA-256, mode, link, capabilities.

    lead 96 bytes | signatures, a header filled up to eight bytes | the header | payload

Rules: whoever hands the bytes in has compared the SHA-256 of them all, so the header is what the
packager wrote, and rpm puts nothing onto a disk that has another SHA-256 than stands there; the
payload is never unpacked. Files that are named and not brought (`%ghost`) may be anything.
Documentation, and what may be missing (`missingok`), may be left out. Configuration, and what the
packager expects to change (`%verify(not md5)`, or `not link`), may be the host's own. A package
that hashes its files otherwise, or a source package, cannot be read.

Capabilities are compared as Linux keeps them, without the user namespace's root: the words
`cap_net_raw=ep` are `0100000200200000..` in hex. Sources: rpm's docs/manual/format.md;
cap_text_formats(7); linux/capability.h. Left out: owners, devices.
"""

import re
import stat
from collections.abc import Iterator
from struct import pack
from typing import BinaryIO, NamedTuple

from answerable.observe.files import Shipped
from answerable.observe.inside import shown
from answerable.observe.rpmheader import Damaged, Header, Tag, length

MAGIC = b"\xed\xab\xee\xdb"
"""What a .rpm begins with."""
WORDS = 4_096
"""Longest text of capabilities, characters."""
CONFIG, DOCUMENT, MISSING, GHOST = 1, 2, 8, 64
"""Flags of files."""
CONTENT, TARGET = 1, 16
"""What of a file or link rpm is to verify (rpm's docs/manual/tags.md, Fileverifyflags)."""
_LEAD, _HEADER, _COUNTS = 96, b"\x8e\xad\xe8\x01\0\0\0\0", 8
_SHA256 = 8
_HASH = re.compile("[0-9a-f]{64}")
_NAMES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
    "setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw",
    "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
    "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod",
    "lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog",
    "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
)  # fmt: skip
_ALL = (1 << len(_NAMES)) - 1
_CLAUSE = re.compile(r"([a-z0-9_,]*)((?:[=+-][eip]*)+)")


class _File(NamedTuple):
    path: str
    mode: int
    digest: str
    link: str
    flags: int
    words: str
    verified: int

    @property
    def own(self) -> bool:
        """Whether the host may have its own."""
        what = TARGET if stat.S_ISLNK(self.mode) else CONTENT
        return bool(self.flags & CONFIG) or not self.verified & what


def read_rpm(file: BinaryIO) -> Shipped:
    """Read a .rpm from its start.

    Raises:
        ValueError: if it is none that can be compared with.
    """
    lead = file.read(_LEAD)
    if len(lead) < _LEAD or not lead.startswith(MAGIC):
        raise Damaged("not a package of rpm")
    size = len(_blob(file))
    file.read(-size % 8)
    header = Header(_blob(file))
    if not header.text(Tag.SOURCE):
        raise Damaged("a source package")
    return _shipped(list(_files(header)))


def _blob(file: BinaryIO) -> bytes:
    start = file.read(len(_HEADER) + _COUNTS)
    if not start.startswith(_HEADER):
        raise Damaged("no header where one should be")
    counts = start[len(_HEADER) :]
    return counts + file.read(length(counts))


def _files(header: Header) -> Iterator[_File]:
    paths = list(header.paths())
    modes, flags = header.numbers(Tag.MODES), header.numbers(Tag.FLAGS)
    hashes, links = header.texts(Tag.DIGESTS), header.texts(Tag.LINKS)
    words = header.texts(Tag.CAPABILITIES) or [""] * len(paths)
    verified = header.numbers(Tag.VERIFIED) or [CONTENT | TARGET] * len(paths)
    if paths and header.numbers(Tag.HASHED_BY) != [_SHA256]:
        raise Damaged("it does not hash its files by SHA-256")
    for row in zip(paths, modes, hashes, links, flags, words, verified, strict=True):
        yield _File(shown(row[0]), *row[1:])


def _shipped(rows: list[_File]) -> Shipped:
    files, private = dict[str, str](), set[str]()
    closed = (row for row in rows if stat.S_ISDIR(row.mode) and not row.mode & stat.S_IXOTH)
    shut = {f"{row.path}/" for row in closed}
    for row in rows:
        if row.flags & GHOST or not (stat.S_ISREG(row.mode) or stat.S_ISLNK(row.mode)):
            continue
        if row.path in files:
            raise Damaged(f"`{row.path}` is there twice")
        if stat.S_ISLNK(row.mode):
            files[row.path] = f"-> {shown(row.link)}"
        elif _HASH.fullmatch(row.digest):
            files[row.path] = f"{row.digest} {capabilities(row.words)}".rstrip()
        else:
            raise Damaged(f"`{row.path}` has no SHA-256")
        ends = (at + 1 for at, letter in enumerate(row.path) if shut and letter == "/")
        hidden = any(row.path[:end] in shut for end in ends)
        if hidden or (stat.S_ISREG(row.mode) and not row.mode & stat.S_IROTH):
            private.add(row.path)
    return Shipped(
        files,
        conffiles={row.path for row in rows if row.own},
        private=private,
        spare={row.path for row in rows if row.flags & (DOCUMENT | MISSING)},
        named={row.path for row in rows},
    )


def capabilities(words: str) -> str:
    """Give the bytes of `security.capability`, in hex; nothing if there are none (`=`, or no word).

    Raises:
        Damaged: words that are not known, or that a file cannot keep.
    """
    sets = {"e": 0, "i": 0, "p": 0}
    for word in words[:WORDS].split():
        clause = _CLAUSE.fullmatch(word)
        if clause is None:
            raise Damaged(f"`{word[:80]}` is no word of capabilities")
        mask = _mask(clause[1])
        for action, letters in re.findall("([=+-])([eip]*)", clause[2]):
            for letter, had in sets.items():
                rest = had & ~mask
                if letter in letters:
                    sets[letter] = rest if action == "-" else rest | mask
                elif action == "=":
                    sets[letter] = rest
    if not any(sets.values()) and len(words) <= WORDS:
        return ""
    if len(words) > WORDS or sets["e"] not in (0, sets["p"] | sets["i"]):
        raise Damaged(f"a file cannot keep the capabilities `{words[:80]}`")
    halves = [sets[of] >> n & 0xFFFFFFFF for n in (0, 32) for of in ("p", "i")]
    return pack("<5I", 2 << 24 | bool(sets["e"]), *halves).hex()


def _mask(names: str) -> int:
    if names in ("", "all"):
        return _ALL
    known = [name.removeprefix("cap_") for name in names.split(",")]
    if any(name not in _NAMES for name in known):
        raise Damaged(f"`{names[:80]}` are no capabilities that are known")
    return sum({1 << _NAMES.index(name) for name in known})
