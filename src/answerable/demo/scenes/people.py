"""Scene 6: what no standing authorization covers is for people to say yes or no to.

Dana and Lee approve the plan for the pci hosts by signing what they read. Lee vetoes a second plan
during its window and a third in the middle of its rollout; no further host changes.
"""

import json
from collections.abc import Sequence

from answerable.demo.scenes.cast import CONTROL, GUARDS, LOG, PEOPLE
from answerable.demo.scenes.stage import Planned, Stage, follow, make, notice, order_of, told
from answerable.demo.scenes.watch import Record

PCI = ("pci1", "pci2")
_PARTS = 3


def play(stage: Stage, first: Planned) -> list[tuple[Planned, Record]]:
    """Play the scene.

    Args:
        first: the plan of scene 2, whose upgrades are the ones that pci hosts still lack.

    Returns: the three plans with their notices; the second and third are vetoed.
    """
    tell = stage.cast.tell
    tell.scene(6, "People: the pci hosts need Dana's and Lee's word, and Lee may say no")
    groups = _groups(first)
    approved = _approved(stage, groups[0])
    early = _vetoed_early(stage, groups[1])
    return [approved, early, _vetoed_late(stage, groups[2])]


def _groups(first: Planned) -> list[list[str]]:
    """Share what is pending out over three plans, the quick ones, none twice."""
    order = order_of(first, first.rings[0][0])
    sets = [[p["name"] for p in c["packages"]] for c in order["changes"] if c["type"] == "upgrade"]
    quick = sorted(sets, key=len)[: 2 * _PARTS]
    return [[name for group in quick[part::_PARTS] for name in group] for part in range(_PARTS)]


def _plan(stage: Stage, title: str, packages: Sequence[str], rings: Sequence[int]) -> Planned:
    words = ["--zone", "pci", *(w for name in packages for w in ("--package", name))]
    words += [word for size in rings for word in ("--ring", str(size))]
    made = make(stage, title, *words)
    wanted = ", ".join(sorted(made.packages))
    stage.cast.tell.line(f"plan {made.digest[:16]}: {wanted}; rings {made.rings}")
    return made


def say(stage: Stage, person: str, what: str, leaf: str, reason: str) -> str:
    """Let a person say something of a notice, with their own key; give what the command said."""
    words = [what, leaf, "--person", person, "--key", "id_ed25519", "--charter", "charter.note"]
    words += ["--log", stage.cast.url(LOG), "--reason", reason]
    done = stage.cast.run(person, *words)
    logged = json.loads(done.out)
    rest = done.err.strip().splitlines()[-1:]
    stage.cast.tell.good("; ".join([f"{logged['type']} {logged['statement'][:16]}", *rest]))
    return done.out


def read_it(stage: Stage, person: str, leaf: str) -> None:
    """Let a person read a notice at all guards; show its head and its check words."""
    guards = [word for name in GUARDS for word in ("--guard", stage.cast.url(name))]
    page = stage.cast.run(person, "notice", "show", leaf, *guards, show=False)
    stage.cast.tell.command(person, ["answerable", "notice", "show", leaf[:16], "--guard .. (4)"])
    lines = page.out.splitlines()
    stage.cast.tell.quote("\n".join([lines[0], lines[-1]]))


def _approved(stage: Stage, packages: Sequence[str]) -> tuple[Planned, Record]:
    made = _plan(stage, "security updates of the pci hosts", packages, [2])
    said = notice(stage, made)
    told(stage, said)
    for person in PEOPLE:
        read_it(stage, person, said["leaf"])
        say(stage, person, "approve", said["leaf"], "read and agreed")
    rows = stage.watch.wait("both approvals stand in the log", 2, "approval", notice=said["leaf"])
    by = sorted(row["by"][0] for row in rows)
    stage.cast.tell.good(f"approved by {', '.join(by)}")
    for host in PCI:
        follow(stage, made, said, host)
    return made, said


def _vetoed_early(stage: Stage, packages: Sequence[str]) -> tuple[Planned, Record]:
    made = _plan(stage, "a second plan for the pci hosts", packages, [2])
    said = notice(stage, made)
    told(stage, said)
    say(stage, "dana", "approve", said["leaf"], "agreed")
    say(stage, "lee", "veto", said["leaf"], "the quarter closes today")
    _ended(stage, said)
    for host in PCI:
        _untouched(stage, said, host)
    return made, said


def _vetoed_late(stage: Stage, packages: Sequence[str]) -> tuple[Planned, Record]:
    made = _plan(stage, "a third plan for the pci hosts", packages, [1, 1])
    said = notice(stage, made)
    told(stage, said)
    for person in PEOPLE:
        say(stage, person, "approve", said["leaf"], "agreed")
    begun, next_one = made.rings[0][0], made.rings[1][0]
    follow(stage, made, said, begun)
    say(stage, "lee", "veto", said["leaf"], f"{begun} is enough for today")
    _ended(stage, said)
    _untouched(stage, said, next_one)
    return made, said


def _ended(stage: Stage, said: Record) -> None:
    (veto,) = stage.watch.wait("the veto stands in the log", 1, "veto", notice=said["leaf"])
    stage.cast.tell.good(f"veto by {veto['by'][0]}: {veto['body']['reason']}")
    (outcome,) = stage.watch.wait("the rollout ends", 1, "outcome", notice=said["leaf"])
    stage.cast.tell.bad(f"outcome: {outcome['body']['state']}: {outcome['body']['detail']}")


def _untouched(stage: Stage, said: Record, host: str) -> None:
    rows = stage.watch.all("report", notice=said["leaf"], host=host)
    done = [row for row in rows if row["body"]["result"] != "refused"]
    assert not done, json.dumps(done[0]["body"])
    stage.cast.tell.line(f"{host} has changed nothing under this notice")
    for row in rows:
        stage.cast.tell.bad(f"{host} refused {row['body']['change']}: {row['body']['reason']}")


def listed(stage: Stage) -> None:
    """Show how far each rollout is."""
    done = stage.cast.run(CONTROL, "rollout", "list", stage.cast.place(CONTROL))
    stage.cast.tell.quote(done.out)
