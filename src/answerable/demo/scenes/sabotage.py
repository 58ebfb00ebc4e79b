"""Scene 8: a thief with the control plane and the logs, keys and disks; every host refuses.

The thief serves from the control plane's own port, signs with its stolen key, and later runs the
log. Each row: what was tried, on which host, and the reason word of that host's signed refusal, as
the report log has it. Left out: what the thief could do with guards' keys (more than f of them).
"""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from answerable.bootstrap.serve import boot_clock
from answerable.demo.scenes.cast import CONTROL, LOG, THIEF, StoryFailed
from answerable.demo.scenes.founding import AUTHORIZATION
from answerable.demo.scenes.people import say
from answerable.demo.scenes.stage import Planned, Stage
from answerable.demo.scenes.watch import Record

HOLD = 6
"""Seconds for which guards wait until a veto that they hold stands in the log."""
VICTIM, LATER = "web2", "web3"
RESTORED = "web1"
STATE = ("journal", "log", "bundles", "snapshots", "refusals.json", "status.json")


@dataclass
class Thief:
    """The thief's place, what is served from it, and what came of each attempt."""

    stage: Stage
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """Give the thief's own directory."""
        return self.stage.cast.place(THIEF)

    @property
    def stolen(self) -> Path:
        """Give the copy of the control plane's directory."""
        return self.place / CONTROL

    @property
    def served(self) -> Path:
        """Give what is served at the control plane's port."""
        return self.place / "served"

    def steal(self) -> None:
        """Take the control plane: its files, its key, its port."""
        cast = self.stage.cast
        cast.stop(CONTROL)
        shutil.copytree(cast.place(CONTROL), self.stolen)
        for folder in ("plans", "artefacts", "candidates", "bundle", "bundles"):
            (self.served / folder).mkdir(parents=True)
        for folder in ("artefacts", "candidates"):
            shutil.copytree(self.stolen / folder, self.served / folder, dirs_exist_ok=True)
        for path in (self.place, *self.place.rglob("*")):
            cast.own(path, THIEF)
        words = [sys.executable, "-m", "http.server", "--directory", str(self.served)]
        words += ["--bind", cast.ground.hosts.hub_address, str(cast.ports[CONTROL])]
        cast.running["thief-serves"] = cast.launch(THIEF, words, "thief-serves")
        cast.reach(CONTROL)

    def do(self, what: str, **edit: Any) -> dict[str, Any]:  # noqa: ANN401
        """Let the thief do one thing of thief.py."""
        edit["served"] = str(self.served)
        words = [sys.executable, "-m", "answerable.demo.scenes.thief", what, str(self.stolen)]
        done = self.stage.cast.run_program(THIEF, [*words, json.dumps(edit)], show=False)
        found: dict[str, Any] = json.loads(done.out)
        return found

    def apply(self, digest: str, authorization: str = AUTHORIZATION) -> str:
        """Log a notice with the stolen key, by the real command; give its leaf hash."""
        words = ["plan", "apply", self.stolen, digest]
        words += ["--authorization", authorization] if authorization else []
        return self.stage.cast.run(THIEF, *words, show=False).out.strip()

    def publish(self, digest: str) -> None:
        """Serve a plan, so that guards can read it."""
        shutil.copyfile(self.stolen / "plans" / digest, self.served / "plans" / digest)
        self.stage.cast.own(self.served / "plans" / digest, THIEF)

    def offer(self, host: str, *digests: str) -> None:
        """Serve these bundles to a host, and no others."""
        file = self.served / "bundles" / host
        file.write_text(json.dumps(digests))
        self.stage.cast.own(file, THIEF)

    def refused(self, what: str, host: str, made: dict[str, Any], *, late: bool = False) -> None:
        """Wait for the host's signed refusal of a bundle; keep its reason word.

        Args:
            late: the host's log is an old one, so `behind` is an answer; else it only says that a
                busy host will look again.
        """
        watch = self.stage.watch
        rows: list[Record] = []

        def ready() -> bool:
            found = watch.all("report", host=host, notice=made["notice"], order=made["order"])
            bad = [r for r in found if r["leaf"] not in self._known]
            for row in bad:
                if row["body"]["result"] != "refused" and row["body"]["type"] != "snapshot":
                    raise StoryFailed(f"{host} did it: {row['body']}")
            said = [r for r in bad if r["body"]["result"] == "refused"]
            rows[:] = [r for r in said if late or r["body"]["reason"] != "behind"]
            return bool(rows)

        watch.until(f"{what}: {host} decides", ready, 60)
        body = rows[0]["body"]
        self._known.add(rows[0]["leaf"])
        self.rows.append((what, host, body["reason"], body["detail"]))
        self.stage.cast.tell.bad(f"{what}: {host} refuses: {body['reason']}: {body['detail']}")

    _known: set[str] = field(default_factory=set)


def snapshot(stage: Stage) -> None:
    """Keep an early state of a host's agent, as a machine's snapshot would."""
    home, kept = stage.agents.home(RESTORED), stage.cast.directory / "snapshot"
    _copy_state(home, kept)


def _copy_state(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    for name in STATE:
        if (target / name).is_dir():
            shutil.rmtree(target / name)
        elif (target / name).exists():
            (target / name).unlink()
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)
        elif (source / name).exists():
            shutil.copy2(source / name, target / name)


def play(stage: Stage, first: Record, plans: Sequence[Planned]) -> None:
    """Play the scene.

    Args:
        first: the notice of scene 3, whose bundles hosts have done with.
        plans: those of scene 6: approved, vetoed during its window, vetoed in its rollout.
    """
    tell = stage.cast.tell
    tell.scene(8, "Sabotage: a thief has the control plane and the logs, keys and disks")
    thief = Thief(stage)
    thief.steal()
    tell.line("the thief serves from the control plane's port, and signs with its key")
    _Attacks(thief, first, plans).play()
    head = ("what was tried", "host", "reason of its signed refusal")
    tell.table(head, [row[:3] for row in thief.rows])


class _Attacks:
    """The attempts, in an order that needs one window only."""

    def __init__(self, thief: Thief, first: Record, plans: Sequence[Planned]) -> None:
        self.thief, self.first = thief, first
        approved, self.vetoed, late = plans
        self.free = approved.packages
        self.spent = sorted(self.vetoed.packages | late.packages | self.free)
        self.stage, self.cast = thief.stage, thief.stage.cast

    def play(self) -> None:
        """Try everything."""
        self._prepare()
        self._before_the_window()
        self._after_the_window()
        self._restored()
        self._logs()

    def _prepare(self) -> None:
        thief = self.thief
        words: list[object] = ["plan", "make", thief.stolen, "--authorization", AUTHORIZATION]
        words += ["--clause", self.first["body"]["clause"], "--title", "routine"]
        words += [word for name in sorted(self.free) for word in ("--package", name)]
        done = self.cast.run(THIEF, *words, "--canary", VICTIM, show=False)
        base = done.out.splitlines()[-1].removeprefix("digest: ")
        self.plans = {"base": base}
        edits: tuple[tuple[str, dict[str, Any]], ...] = (
            ("withheld", {"edit": "title", "title": "nothing to see"}),
            ("own", {"edit": "own"}),
            ("together", {"edit": "together"}),
            ("alone", {"edit": "alone", "host": LATER, "title": "once more"}),
            ("relabel", {"edit": "relabel", "host": "pci1", "not": self.spent}),
            ("effects", {"edit": "effects", "host": LATER, "title": "the same, and more"}),
        )
        for name, edit in edits if self.stage.agents.clone else edits[:-1]:
            self.plans[name] = thief.do("forge", base=base, **edit)["digest"]
        title = f"{self.vetoed.body['title']}."
        self.plans["again"] = thief.do("forge", base=self.vetoed.digest, edit="title", title=title)[
            "digest"
        ]
        self.notices = {
            name: thief.apply(digest, "" if name == "again" else AUTHORIZATION)
            for name, digest in self.plans.items()
        }

    def _try(self, what: str, name: str, host: str, edit: str = "", **more: str) -> None:
        made = self.thief.do("bundle", notice=self.notices[name], host=host, edit=edit, **more)
        self.thief.refused(what, host, made)

    def _before_the_window(self) -> None:
        self._try("no notice", "base", VICTIM, "no_notice")
        self._try("notice told to nobody", "base", VICTIM, "nobody")
        for name, digest in self.plans.items():
            if name != "withheld":
                self.thief.publish(digest)
        for name, leaf in self.notices.items():
            if name != "withheld":
                self.stage.watch.wait(f"guards tell people of `{name}`", 6, "delivery", notice=leaf)
        self._try("backdated notice", "base", VICTIM, "backdated")
        self._try("plan withheld", "withheld", VICTIM)

    def _after_the_window(self) -> None:
        limit = boot_clock() + 12
        self.stage.watch.until("the window runs out", lambda: boot_clock() > limit)
        self._try("forged facts", "base", VICTIM, "facts")
        self._try("own package", "own", VICTIM)
        self._try("everyone in ring 1", "together", VICTIM)
        self._try("all rings at once", "base", LATER)
        self._try("a pci host relabelled", "relabel", "pci1")
        self._try("a vetoed plan, one byte changed", "again", "pci2")
        self._try("replay to another host", "base", VICTIM, order=LATER)
        self._swapped()
        if "effects" in self.plans:
            # Of another host: one that has had the right bytes once needs nobody's again.
            self._try("effects that no rehearsal found", "effects", LATER)
            self.thief.offer(LATER)

    def _swapped(self) -> None:
        plan = json.loads((self.thief.stolen / "plans" / self.plans["base"]).read_text("utf-8"))
        order = json.loads(plan["rings"][0][0])
        for change in order["changes"]:
            for package in change.get("packages", ()):
                file = self.thief.served / "artefacts" / package["sha256"]
                file.write_bytes(file.read_bytes() + b"swapped")
        self._try("package swapped after notice", "base", VICTIM)
        self.thief.offer(VICTIM)
        shutil.copytree(
            self.thief.stolen / "artefacts", self.thief.served / "artefacts", dirs_exist_ok=True
        )

    def _restored(self) -> None:
        agents, kept = self.stage.agents, self.cast.directory
        agents.stop(RESTORED)
        home = agents.home(RESTORED)
        _copy_state(home, kept / "state-before")
        _copy_state(kept / "snapshot", home)
        stolen = self.thief.stolen / "bundles"
        digest = (stolen / "hosts" / RESTORED / self.first["leaf"]).read_text()
        data = (stolen / "bundle" / digest).read_bytes()
        target = self.thief.served / "bundle" / digest
        target.write_bytes(data)
        self.cast.own(target, THIEF)
        self.thief.offer(RESTORED, digest)
        made = {"notice": self.first["leaf"], "order": _order_hash(data)}
        self._forget(RESTORED, made)
        agents.start(RESTORED)
        self.thief.refused("replay after a restored snapshot", RESTORED, made)
        self.thief.offer(RESTORED)
        agents.stop(RESTORED)
        _copy_state(kept / "state-before", home)
        agents.start(RESTORED)

    def _forget(self, host: str, made: dict[str, str]) -> None:
        rows = self.stage.watch.all("report", host=host, **made)
        self.thief._known |= {row["leaf"] for row in rows}  # noqa: SLF001

    def _logs(self) -> None:
        old = self.cast.place(LOG) / "old"
        self.cast.own(old, LOG, folder=True)
        self.cast.stop(LOG)
        for name in ("authority", "report"):
            words = ["log", "export", old / name, "--log", name, "--dir", self.cast.place(LOG)]
            self.cast.run(LOG, *words, show=False)
        self._swallow()
        self.cast.stop(LOG)
        self.cast.start(LOG, "log", "serve")
        self.cast.reach(LOG)
        leaf = self.notices["alone"]
        self.stage.watch.wait("the guards bring Lee's veto to the log", 1, "veto", notice=leaf)
        self.cast.tell.good("the log is its operator's again, and the guards have brought the veto")
        self._delay(old)

    def _swallow(self) -> None:
        words = [sys.executable, "-m", "answerable.demo.scenes.thief", "swallow"]
        self.cast.running[LOG] = self.cast.launch(LOG, [*words, str(self.cast.place(LOG))], LOG)
        self.cast.reach(LOG)
        self.cast.tell.line("the thief runs the log server, on its own disk, without the vetoes")
        say(self.stage, "lee", "veto", self.notices["alone"], "who made this plan?")
        limit = boot_clock() + HOLD + 4
        self.stage.watch.until(
            "guards hold the veto and stop vouching for a log that lacks it",
            lambda: boot_clock() > limit,
        )
        self._try("a swallowed veto", "alone", LATER)
        self.thief.offer(LATER)
        self.stage.agents.stop(LATER)

    def _delay(self, old: Path) -> None:
        """Serve the log as it was before the veto, to a host whose clocks are an hour late."""
        made = self.thief.do("bundle", notice=self.notices["alone"], host=LATER, edit="")
        self.thief.offer(LATER)
        self.cast.stop(LOG)
        words = [sys.executable, "-m", "http.server", "--directory", str(old)]
        words += ["--bind", self.cast.ground.hosts.hub_address, str(self.cast.ports[LOG])]
        self.cast.running[LOG] = self.cast.launch(LOG, words, "thief-old-log")
        self.cast.reach(LOG)
        agents = self.stage.agents
        self.thief.offer(LATER, made["digest"])
        agents.start(LATER, late=True)
        found: list[str] = []

        def decided() -> bool:
            status = json.loads(agents.run(LATER, "status", "--output", "json"))
            rows = [c for c in status["changes"] if c["notice"] == made["notice"]]
            found[:] = [f"{c['state']}: {c['reason']}" for c in rows]
            return bool(found) and int(status["unsent"]) > 0

        self.stage.watch.until(f"{LATER}, its clock set back, decides with a delayed log", decided)
        self.cast.tell.line(f"{LATER} says, and cannot report it yet: {found[0]}")
        self.cast.stop(LOG)
        self.cast.start(LOG, "log", "serve")
        self.cast.reach(LOG)
        self.thief.refused("a delayed log, the clock set back", LATER, made, late=True)
        self.thief.offer(LATER)
        agents.stop(LATER)
        agents.start(LATER)


def _order_hash(data: bytes) -> str:
    order: str = json.loads(data)["order"]
    return sha256(order.encode()).hexdigest()
