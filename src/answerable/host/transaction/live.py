"""The confined live mode: a package's own script that must touch the data of a service.

A change is live if all that nobody explains is data of a service, below folders that one named
package calls its own, and the package's `postinst` alone makes just that. Then, and only with the
class `live` allowed:

1. what is explained is put in place, through the journal, as in any change (rehearsal.py);
2. the journal keeps the data folders as they are, durably (data.py);
3. the script runs in a new copy of the host, in which the data folders are the host's own: all else
   that it writes goes to memory, and is thrown away;
4. if it failed, or wrote anything else, or left what is no data (setuid files, keys of ssh, pipes),
   everything is brought back.

Rules for the folders:
* a folder is `/var/lib/<x>`, `/var/spool/<x>`, `/var/www/<x>` or `/srv/<x>`, there before the
  change; one named package ships it or bears its name; no other package ships it; none of `NEVER`;
* no change in them is of a sensitive class; they hold no setuid file and are not too large to be
  kept.

Rules for the script:
* no network, not even the host's loopback; a service is spoken to by the socket folders that the
  host's own settings name (`sockets`), which are read-only;
* six capabilities, no process of the host, no other socket; what it asks of services is noted;
* no file gets a setuid or setgid bit, not for a moment (seccomp.py): whoever else may write in the
  data would run it before the end's check;
* rehearsed before, with the same rights, on the copy's own data: it must succeed there too.

Sources: deb-postinst(5), dpkg(1) on the environment of scripts, bwrap(1). Left out: other scripts
than `postinst configure`; several live packages in one change; new folders; packages of rpm; a
service that must be stopped meanwhile (a plan restarts it afterwards).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from answerable.host.confine.sandbox import Real, Rights, Sandbox
from answerable.host.driver import (
    CHANGE_SECONDS,
    DriverFailed,
    Ran,
    TransactionDiffers,
    last_lines,
)
from answerable.host.transaction import data, derived
from answerable.host.transaction.debian.database import HOME, STATUS, stanzas
from answerable.host.transaction.debian.deb import Deb, read_fields
from answerable.host.transaction.disk import Disk
from answerable.host.transaction.effects import Change, changes
from answerable.host.transaction.explain import Explained
from answerable.host.transaction.family import Database, Shipment
from answerable.host.transaction.port import Files
from answerable.host.transaction.sensitive import LIVE

NEVER = ("/var/lib/answerable", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/pam", "/var/lib/rpm",
         "/var/lib/systemd", "/var/lib/ucf", "/var/spool/cron")  # fmt: skip
"""Folders that are no data of a service, whoever ships them."""
_PARENTS = ("/srv", "/var/lib", "/var/spool", "/var/www")
_RIGHTS = Rights(("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"), setuid=False)
_NAMED = 20


@dataclass(frozen=True)
class Live:
    """A script that shall run on the host itself, and what it may write.

    Args:
        flagged: the paths that the package tool's run changed in the folders.
    """

    package: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    folders: tuple[str, ...]
    flagged: tuple[str, ...]

    def rehearse(self, copy: Sandbox, found: Explained, env: Mapping[str, str], log: Path) -> None:
        """Run it in a copy that holds what is explained and the copy's own data.

        Raises:
            TransactionDiffers: it fails there, or does something else than was flagged.
        """
        done = self._run(copy, env, log)
        if done.code:
            raise TransactionDiffers(
                f"the script of `{self.package}` fails without network, with six capabilities and "
                f"without setuid or setgid bits: {last_lines(done.output)}",
                done.output.splitlines()[-20:],
            )
        made = changes(copy.layers, Path("/"))
        missing = sorted(set(self.flagged) - {change.path for change in made})
        wrong = [*(f"{path}: not by this script" for path in missing),
                 *self._outside(made, found.commit)]  # fmt: skip
        _refuse(self.package, wrong)

    def run(self, copy: Sandbox, env: Mapping[str, str], log: Path) -> None:
        """Run it on the host's own data folders.

        Args:
            copy: of the host as it is now, with `real`.

        Raises:
            DriverFailed: it failed, or wrote anything else: bring everything back.
        """
        done = self._run(copy, env, log)
        if done.code:
            raise DriverFailed(f"the script of `{self.package}` failed: {last_lines(done.output)}")
        _refuse(self.package, self._outside(changes(copy.layers, Path("/")), ()))

    def settled(self, files: Files, place: str) -> None:
        """Find that what the script left is data, and make it durable.

        Args:
            place: the transaction's folder.

        Raises:
            TransactionDiffers: it is not.
        """
        _refuse(self.package, [f"{path}: no data" for path in data.grown(files, place)])
        left = (pair for folder in self.folders for pair in data.walk(files, folder))
        files.sync(*(path for path, look in left if look.kind in ("file", "dir")))

    def real(self, sockets: Sequence[str]) -> Real:
        """Give what of the host the copy shows: the folders to write, the sockets to speak to."""
        return Real(self.folders, tuple(sockets))

    def _run(self, copy: Sandbox, env: Mapping[str, str], log: Path) -> Ran:
        told = {**env, **self.env}
        return copy.run(self.argv, log, told, CHANGE_SECONDS, None, _RIGHTS)

    def _outside(self, made: Iterable[Change], explained: Iterable[Change]) -> list[str]:
        known, wrong = {change.path: change for change in explained}, list[str]()
        for change in made:
            inside = folder_of(change.path) in self.folders
            again = change.path in known and _same(change, known[change.path])
            computed = derived.tool_of(change.path) is not None
            if not (inside or again or computed or derived.discarded(change.path)):
                wrong.append(f"{change.path}: outside of its data")
        return wrong


def wanted(
    found: Explained, made: Sequence[Change], packages: Sequence[Shipment], database: Database,
    hidden: Sequence[Path], root: Path = Path("/"),
) -> Live | None:  # fmt: skip
    """Tell whether a change whose rehearsal is explained so far is live; nothing if it is not.

    Args:
        found: it is left as it is.
        made: all changes of the rehearsal.
        hidden: folders of the agent's own.
        root: the host's.
    """
    looks = {change.path: change for change in made}
    flagged = sorted({unknown.path for unknown in found.unexplained})
    folders = sorted({folder_of(path) for path in flagged})
    if not folders or "" in folders or not all(u.live for u in found.unexplained):
        return None
    if any(data.odd(p, looks[p].before, looks[p].after) for p in flagged):
        return None
    owners = [p for p in packages if isinstance(p, Deb) and "postinst" in p.members
              and all(_owns(p, folder, database) for folder in folders)]  # fmt: skip
    taken = {*NEVER, *database.others()}
    apart = not any(_related(folder, str(path)) for folder in folders for path in hidden)
    if len(owners) != 1 or taken & set(folders) or not apart:
        return None
    argv, env = _script(owners[0], root)
    with Disk(root) as files:
        real = [look for folder in folders if (look := files.look(folder)) and look.kind == "dir"]
        if not argv or len(real) != len(folders) or data.measure(files, folders):
            return None
    return Live(owners[0].name, argv, env, tuple(folders), tuple(flagged))


def take(found: Explained, live: Live) -> None:
    """Count a live change as explained: one effect a folder, of the class `live`."""
    found.unexplained.clear()
    found.sensitive[LIVE] = sorted({*live.folders, *live.flagged})
    found.effects += [{"by": live.package, "is": "live", "path": path} for path in live.folders]


def folder_of(path: str) -> str:
    """Give the data folder that a path lies in, or is; nothing if it is in none."""
    parent = next((p for p in _PARENTS if path.startswith(f"{p}/")), "")
    name = path.removeprefix(f"{parent}/").partition("/")[0]
    return f"{parent}/{name}" if parent else ""


def _owns(deb: Deb, folder: str, database: Database) -> bool:
    ships = {database.place(path, deb.name) for path in deb.files if path != "/"}
    return folder in ships or folder.rpartition("/")[2] == deb.name


def _script(deb: Deb, root: Path) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Give argv and environment of `postinst configure`, nothing if it was not installed before."""
    arch = deb.fields.get("Architecture", "")
    known = stanzas((root / STATUS.lstrip("/")).read_bytes())
    was = read_fields(known.get(f"{deb.name}:{arch}", b"").decode("utf-8", "replace"))
    if not was.get("Version") or not was.get("Status", "").endswith(" installed"):
        return (), {}
    many = deb.fields.get("Multi-Arch") == "same"
    stem = f"{deb.name}:{arch}" if many else deb.name
    env = {
        "DPKG_MAINTSCRIPT_PACKAGE": deb.name, "DPKG_MAINTSCRIPT_ARCH": arch,
        "DPKG_MAINTSCRIPT_NAME": "postinst", "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT": "1",
        "DPKG_ADMINDIR": HOME, "DPKG_ROOT": "",
    }  # fmt: skip
    return (f"{HOME}/info/{stem}.postinst", "configure", was["Version"]), env


def _same(one: Change, other: Change) -> bool:
    return one.after.same(other.after) if one.after else other.after is None


def _related(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _refuse(package: str, wrong: Sequence[str]) -> None:
    if wrong:
        raise TransactionDiffers(
            f"the script of `{package}` does more than it may: {'; '.join(wrong[:_NAMED])}; "
            "a person must look at it",
            wrong,
        )
