"""Scene 7: people approve what turns out bad; the host refuses it, or observers catch it.

Everything was allowed: attested, noticed, approved by two people. On real hosts a vendor's package
whose script is hostile is refused by the host's own rehearsal, and not a byte differs; one that
ships a setuid program is installed, and what it did to the host's posture stops its ring; a third
host, taken over, reports success with its own key and has done nothing. Application hosts have no
scripts and no posture, so only the last is played on them, and the story says so.

The planner's clone has none of the vendor's packages, so they are planned without a rehearsal. Left
out: what people do about each; who answers for it has been told.
"""

import hashlib
import json
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from answerable.demo import vendor
from answerable.demo.scenes.cast import CONTROL, OBSERVERS, PEOPLE, StoryFailed
from answerable.demo.scenes.founding import VENDOR
from answerable.demo.scenes.hosts import HELPED, HOME, LIAR, REFUSER, UNASKED
from answerable.demo.scenes.people import say
from answerable.demo.scenes.stage import Planned, Stage, make, notice, reports, spell, told
from answerable.demo.scenes.watch import Record

WEB = ("web3", "web2")
"""Application hosts of the lie: the liar, and the one that is not asked then. The liar fetches what
it does not install, and a thief could not swap that any more: scene 8 needs the other one fresh."""
SWEPT_NOT = (HOME, "proc", "sys", "dev", "run", "tmp")
_PIECE = 1 << 20


def play(stage: Stage, packages: Collection[str]) -> None:
    """Play the scene.

    Args:
        packages: with pending updates on application hosts, of which nobody has vetoed any.
    """
    tell, agents = stage.cast.tell, stage.agents
    tell.scene(7, "Allowed, and bad: the host refuses it, or observers catch it")
    if agents.rehearses:
        _vendor(stage)
        return
    why = "have neither package scripts nor a posture" if not agents.real else "rehearse nothing"
    tell.line(f"these hosts {why}: a hostile package and a weaker host cannot be shown on them")
    package = min(packages)
    words = [
        "--zone",
        "web",
        "--package",
        package,
        "--canary",
        WEB[0],
        "--ring",
        "1",
        "--ring",
        "1",
    ]
    made = make(stage, f"security update of {package}", *words)
    with _lying(stage, WEB[0]):
        said = _approved(stage, made)
        _false(stage, made, said, WEB[0])
    _stopped(stage, said, WEB[1])
    _honest(stage, WEB[0], package)


def _vendor(stage: Stage) -> None:
    cast, tell = stage.cast, stage.cast.tell
    done = cast.run(CONTROL, "feed", "sync", cast.place(CONTROL), VENDOR)
    tell.quote(done.err)
    words = [word for name in vendor.PACKAGES for word in ("--package", name)]
    words += [word for host in (REFUSER, HELPED, LIAR) for word in ("--canary", host)]
    with _without_clone(stage):
        made = make(stage, "updates of the vendor", *words, "--ring", "3", "--ring", "1")
    tell.line(f"plan {made.digest[:16]}: {', '.join(sorted(made.packages))}; rings {made.rings}")
    before = dict(sweep(cast.ground.hosts.root(REFUSER)))
    with _lying(stage, LIAR):
        said = _approved(stage, made)
        _refused(stage, said, before)
        _weakened(stage, said)
        _false(stage, made, said, LIAR)
    _stopped(stage, said, UNASKED)
    done = cast.run(OBSERVERS[0], "observe", "reconcile", cast.place(OBSERVERS[0]), codes=(0, 1))
    tell.quote(done.out + done.err)


def _approved(stage: Stage, made: Planned) -> Record:
    said = notice(stage, made)
    told(stage, said)
    for person in PEOPLE:
        say(stage, person, "approve", said["leaf"], "read and agreed")
    return said


def _refused(stage: Stage, said: Record, before: dict[str, str]) -> None:
    tell = stage.cast.tell
    rows: list[Record] = []

    def ready() -> bool:
        of = {"notice": said["leaf"], "host": REFUSER, "type": "upgrade"}
        rows[:] = stage.watch.all("report", **of)
        return bool(rows)

    stage.watch.until(f"{REFUSER} rehearses {vendor.AGENT} in a copy of itself", ready)
    body = rows[0]["body"]
    if body["result"] != "refused":
        raise StoryFailed(f"{REFUSER} did it: {body}")
    tell.bad(f"{REFUSER} refuses, signed: {body['reason']}: {body['detail']}")
    named = [path for path in vendor.ACTS if path in body["detail"]]
    tell.line(f"named in it are {len(named)} of the script's {len(vendor.ACTS)} acts")
    after = dict(sweep(stage.cast.ground.hosts.root(REFUSER)))
    if changed := sorted(path for path in before.keys() | after.keys()
                         if before.get(path) != after.get(path)):  # fmt: skip
        raise StoryFailed(f"{REFUSER} is not as it was: {', '.join(changed[:20])}")
    tell.good(f"{REFUSER} is as it was, byte for byte: {len(after)} paths compared")


def _weakened(stage: Stage, said: Record) -> None:
    tell = stage.cast.tell
    for row in _found(stage, "posture_weakened", said, HELPED):
        tell.bad(f"{row['by'][0]} found at {HELPED}: posture_weakened: {row['body']['detail']}")
    for row in reports(stage, said, HELPED):
        tell.line(spell(row))


def _false(stage: Stage, made: Planned, said: Record, host: str) -> None:
    tell = stage.cast.tell
    found = _found(stage, "self_report_false", said, host)
    rows = [row for row in reports(stage, said, host) if row["body"]["type"] == "upgrade"]
    body = rows[0]["body"]
    tell.line(f"{spell(rows[0])} (so it says, signed with its own key)")
    for row in found:
        late = row["body"]["time"] - body["ended"]
        words = f"{row['by'][0]} found at {host}: self_report_false: {row['body']['detail']}"
        tell.bad(f"{words}; {late} s after the report")
    assert made.rings[0], "a ring of its own"


def _found(stage: Stage, kind: str, said: Record, host: str) -> list[Record]:
    """Wait until both observers have found something at a host."""

    def mine() -> list[Record]:
        rows = [row for row in stage.watch.all("finding") if row["body"]["kind"] == kind]
        words = [row["body"]["subject"].split(" ") for row in rows]
        at = {row["leaf"]: (word[0], word[2]) for row, word in zip(rows, words, strict=True)}
        first = {row["by"][0]: row for row in reversed(rows)
                 if at[row["leaf"]] == (host, said["leaf"][:16])}  # fmt: skip
        return [first[name] for name in sorted(first)]

    what = f"observers look at {host} by their own way: {kind}"
    stage.watch.until(what, lambda: len(mine()) >= len(OBSERVERS))
    return mine()


def _stopped(stage: Stage, said: Record, unasked: str) -> None:
    """Show that the next ring was not opened."""
    opened = stage.watch.all("advance", notice=said["leaf"])
    if opened or reports(stage, said, unasked):
        raise StoryFailed(f"the next ring was opened: {opened}")
    stage.cast.tell.good(f"no observer opens the next ring: {unasked} was not changed")


def _honest(stage: Stage, host: str, package: str) -> None:
    """Wait until the control plane has a true list of what is on a host again."""
    place = stage.cast.place(CONTROL)

    def exposed() -> bool:
        done = stage.cast.run(CONTROL, "exposure", "list", place, "--output", "json", show=False)
        return any((r["host"], r["package"]) == (host, package) for r in json.loads(done.out))

    stage.watch.until(f"{host}, its operator's again, tells what it really has", exposed)


@contextmanager
def _lying(stage: Stage, host: str) -> Iterator[None]:
    """Let a host's agent be one that says what it does not do, with the host's own key."""
    agents = stage.agents
    agents.stop(host)
    agents.start(host, lying=True)
    stage.cast.tell.line(f"{host} is taken over: its agent reports success and does nothing")
    yield
    agents.stop(host)
    agents.start(host)


@contextmanager
def _without_clone(stage: Stage) -> Iterator[None]:
    """Plan without a clone, since it lacks the vendor's packages."""
    file = stage.cast.place(CONTROL) / "party.json"
    kept = file.read_bytes()
    body = json.loads(kept)
    for host in body["settings"]["hosts"].values():
        host.pop("clone", None)
    file.write_text(json.dumps(body), "utf-8")
    yield
    file.write_bytes(kept)


def sweep(root: Path, left_out: Sequence[str] = SWEPT_NOT) -> Iterator[tuple[str, str]]:
    """Give every path of a host with its kind, mode, owner, attributes and bytes.

    Times are left out, and the folders named: the agent's own, and what is no disk.
    """
    for top, folders, files in os.walk(root):
        below = os.path.relpath(top, root)
        folders[:] = [f for f in folders if os.path.normpath(f"{below}/{f}") not in left_out]
        for name in (*folders, *files):
            path = Path(top, name)
            about = path.lstat()
            attributes = [(a, os.getxattr(path, a, follow_symlinks=False))
                          for a in os.listxattr(path, follow_symlinks=False)]  # fmt: skip
            what: object = about.st_rdev
            if stat.S_ISLNK(about.st_mode):
                what = path.readlink()
            elif stat.S_ISREG(about.st_mode):
                with path.open("rb") as file:
                    what = hashlib.file_digest(file, "sha256").hexdigest()
            row = (about.st_mode, about.st_uid, about.st_gid, attributes, what)
            yield os.path.relpath(path, root), repr(row)
