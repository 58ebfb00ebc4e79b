"""dpkg's own database: what may change in it, and how one package's part is brought back.

Rules for /var/lib/dpkg/status, stanza by stanza:
* only named packages' stanzas change; every other one is the same, byte for byte;
* a named package is wholly installed, and each field is that of its .deb's control file, but for
  `Status` and `Conffiles`; white space is dpkg's own affair;
* a line of `Conffiles` names a file that the .deb ships as such, with its hash, or was there.

Rules for /var/lib/dpkg/info: a named package's files are the control members of its .deb, byte for
byte; `.list` names what the .deb ships; nothing of any other package changes.

Rules for /var/lib/dpkg/triggers/File, whose lines dpkg writes in any order: only named packages'
lines come or go, and each that comes is declared in the .deb's `triggers`.

Source: dpkg(1), deb-control(5), deb-triggers(5), dpkg's lib/dpkg/dump.c. Left out: packages that
are removed; explicit triggers, each a file of its own, which change with no ordinary update.
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256

from answerable.host.transaction.debian.deb import Deb, read_fields
from answerable.host.transaction.port import Look

HOME = "/var/lib/dpkg"
STATUS = f"{HOME}/status"
TRIGGERS = f"{HOME}/triggers/File"
_WHOLE = ("install ok installed", "hold ok installed")
# Written by dpkg itself, or kept by it out of the database.
_OWN = {"Status", "Conffiles", "Config-Version"}
_DROPPED = re.compile(
    r"(?i)(?:X[BCS]*-.*|Multi-Arch|Essential|Protected|Filename|Size|MD5sum|SHA.*)"
)


def stanzas(text: bytes) -> dict[str, bytes]:
    """Read a status file: `package:architecture` -> its stanza."""
    found = {}
    for stanza in text.split(b"\n\n"):
        if stripped := stanza.strip(b"\n"):
            name = re.search(rb"^Package: *(.*)$", stripped, re.MULTILINE)
            arch = re.search(rb"^Architecture: *(.*)$", stripped, re.MULTILINE)
            words = (m[1].strip().decode("utf-8", "replace") if m else "" for m in (name, arch))
            found[":".join(words)] = stripped
    return found


def status_problems(before: bytes, after: bytes, debs: Mapping[str, Deb]) -> list[str]:
    """Tell what in the new status file is not explained by the .debs.

    Args:
        debs: by `package:architecture`.
    """
    old, new = stanzas(before), stanzas(after)
    problems = [f"{key}: no longer known" for key in old.keys() - new.keys()]
    for key, stanza in new.items():
        if stanza == old.get(key):
            continue
        deb = debs.get(key) or debs.get(f"{key.partition(':')[0]}:all")
        if deb is None:
            problems.append(f"{key}: changed, and nobody named it")
        else:
            problems += [f"{key}: {why}" for why in _stanza(stanza, old.get(key, b""), deb)]
    return sorted(problems)


def merge_status(before: bytes, after: bytes, now: bytes) -> bytes | None:
    """Undo in the status file, as it is now, what one transaction changed (`journal.Merge`)."""
    old, new, have = stanzas(before), stanzas(after), stanzas(now)
    if now == after:
        return before
    for key in [k for k in old.keys() | new.keys() if old.get(k) != new.get(k)]:
        if have.get(key) not in (new.get(key), old.get(key)):
            return None
        if key in old:
            have[key] = old[key]
        else:
            have.pop(key, None)
    return b"".join(stanza + b"\n\n" for stanza in have.values())


def trigger_problems(before: bytes, after: bytes, debs: Mapping[str, Deb]) -> list[str]:
    """Tell which lines of the new `triggers/File` the .debs do not explain."""
    old, new = set(before.splitlines()), set(after.splitlines())
    declared = {f"{path} {deb.name}{end}" for deb in debs.values() for path, end in _interests(deb)}
    named = {deb.name for deb in debs.values()}
    problems = []
    for line in old ^ new:
        text = re.sub(r":[a-z0-9-]+(/noawait)?$", r"\1", line.decode("utf-8", "replace"))
        name = text.rpartition(" ")[2].partition("/")[0]
        if name not in named or (line in new and text not in declared):
            problems.append(f"trigger `{text}` is not declared")
    return sorted(problems)


def merge_lines(before: bytes, after: bytes, now: bytes) -> bytes | None:
    """Undo what one transaction did to a file of lines in any order (`journal.Merge`)."""
    old, new = before.splitlines(), after.splitlines()
    if now == after:
        return before
    kept = [line for line in now.splitlines() if line in old or line not in new]
    back = [line for line in old if line not in new and line not in kept]
    return b"".join(line + b"\n" for line in [*kept, *back])


def info_problem(path: str, after: Look | None, listed: bytes, debs: Mapping[str, Deb]) -> str:
    """Tell why a file of /var/lib/dpkg/info is not explained; nothing if it is.

    Args:
        listed: the bytes after, of a `.list`.
    """
    stem, _, member = path.rpartition("/")[2].rpartition(".")
    name, _, arch = stem.partition(":")
    found = [d for key, d in debs.items() if key.partition(":")[0] == name]
    found = [d for d in found if not arch or d.fields.get("Architecture") == arch]
    if not found:
        return "of a package that nobody named"
    deb = found[0]
    if member == "list":
        lines = listed.decode("utf-8", "surrogateescape").splitlines()
        shipped = {path for path in deb.files if path != "/"} | {"/."}
        return "" if set(lines) == shipped else "lists other files than are shipped"
    if after is None:
        return "" if member not in deb.members else "gone, though it is shipped"
    control = deb.members.get(member)
    if control is None and member == "md5sums":
        return ""
    same = control is not None and sha256(control).hexdigest() == after.sha256
    return "" if same else "not as it is shipped"


def listed(text: bytes) -> set[str]:
    """Read a `.list` of the host."""
    lines = text.decode("utf-8", "surrogateescape").splitlines()
    return {line for line in lines if line.startswith("/")}


def _interests(deb: Deb) -> Iterator[tuple[str, str]]:
    for line in deb.members.get("triggers", b"").decode("utf-8", "replace").splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1 and words[0].startswith("interest") and words[1].startswith("/"):
            yield words[1], "/noawait" if words[0].endswith("-noawait") else ""


def _stanza(stanza: bytes, before: bytes, deb: Deb) -> Iterator[str]:
    told = read_fields(stanza.decode("utf-8", "replace"))
    if told.get("Status") not in _WHOLE:
        yield f"is `{told.get('Status', '')}`"
    fields = {name.lower(): value for name, value in deb.fields.items()}
    for name, value in told.items():
        if name not in _OWN and _squeezed(fields.get(name.lower(), "")) != _squeezed(value):
            yield f"`{name}` is not that of the package"
    known = {name.lower() for name in told}
    for name in deb.fields:
        if name.lower() not in known and deb.fields[name] and not _DROPPED.fullmatch(name):
            yield f"`{name}` is missing"
    was = read_fields(before.decode("utf-8", "replace")).get("Conffiles", "")
    old = {tuple(line.split()[:2]) for line in was.splitlines()}
    for line in told.get("Conffiles", "").splitlines():
        words = line.split()
        shipped = deb.files.get(words[0]) if words else None
        good = shipped and words[1] == shipped.md5 and words[0] in deb.conffiles
        if words and not good and tuple(words[:2]) not in old:
            yield f"conffile `{words[0]}` has another hash than the shipped one"


def _squeezed(value: str) -> str:
    return re.sub(r"\s+", "", value)
