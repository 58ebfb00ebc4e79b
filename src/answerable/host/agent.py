"""One host's agent: looks at its bundles, asks the kernel before every action, acts, reports.

A pass (`look`), in this order:

1. what a kill has torn is settled: the package tool finishes its own transaction, and an action
   that was begun and is found done is reported so; one that is found half done has failed
2. the control plane is asked which bundles there are; those of begun orders are on the shelf
3. for each order, those begun before first, the change whose turn it is (progress.py):
   a. the kernel is asked as if the artefacts were here; only what it permits is downloaded
   b. artefacts are staged, hashed and previewed; nothing is changed by that
   c. log and guards are asked anew, and the kernel with the hashes of the bytes that are here
   d. the action is written down as begun, and synced
   e. a quorum of guards say that they hold the consume note; the kernel permits once more
   f. the action is done, its result and report are written down, and the next change is looked at
4. reports that wait are sent

Results of a look are rows. `waiting`: time, other parties or a server may cure it; it is reported
only if it stays for `patience` passes. `refused`: reported at once; asked again when the log has
grown, or after `retry` seconds. Both are reported once for each reason. An action that waits for
the guards stays begun, and is gone on with at the next pass; none is ever done twice.

A reboot ends this agent. It stays begun, as `rebooting`, until the agent finds itself in another
boot, and reports how that went; nothing asks for it again.

Left out: several orders at once.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from answerable.host.actions.act import Actions, CannotDo, named_in, packages_of
from answerable.host.driver import (
    ArtefactDiffers,
    DriverFailed,
    Locked,
    Staged,
    TransactionDiffers,
)
from answerable.host.judge import Identity, Judge
from answerable.host.network.client import HttpUnavailable
from answerable.host.records.journal import Journal
from answerable.host.records.progress import Work, failed_change, next_change
from answerable.host.records.report import NO_NOTICE, About, Ended, Outbox, Refusals, body_of
from answerable.host.shelf import Shelf
from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.order import read_bundle

RENEW = 5.0
"""Answers of the guards of this age still serve to look whether a change could be done, seconds."""
WAITS = frozenset(
    {
        "stale_head", "behind", "no_notice", "not_delivered", "window_open", "too_early",
        "outside_window", "authorization_too_young", "ring_not_open", "failure_not_corroborated",
    }
)  # fmt: skip
"""Refusals that time alone may cure."""


class Row(NamedTuple):
    """What became of one change in one pass; `state` is `waiting` or a result of a report."""

    about: About
    state: str
    reason: str = ""
    detail: str = ""


class Parts(NamedTuple):
    """What an agent is made of."""

    me: Identity
    judge: Judge
    shelf: Shelf
    journal: Journal
    refusals: Refusals
    outbox: Outbox
    actions: Actions


class _Step(NamedTuple):
    work: Work
    change: Json
    about: About
    action: str
    resumed: str


class _Shut(NamedTuple):
    size: int
    until: float
    row: Row


class Agent:
    """Does what may be done, one change at a time.

    Args:
        parts: what it is made of.
        clock: boot-time clock, seconds.
        patience: passes that a wait may last before it is reported.
        retry: after how many seconds a refused change is asked about again though the log has not
            grown, and how often the log is followed while there is nothing to do.
    """

    def __init__(self, parts: Parts, clock: Callable[[], float], patience: int, retry: int) -> None:
        self._me, self._judge, self._shelf, self._journal = parts[:4]
        self._refusals, self._outbox, self._actions = parts[4:]
        self._clock, self._patience, self._settled = clock, patience, False
        self._retry, self._followed = retry, -float(retry)
        self._waited: dict[str, Counter[tuple[About, str]]] = {}
        self._shut: dict[str, _Shut] = {}
        self._over: set[str] = set()
        self._journal.seq = max(self._journal.seq, self._refusals.highest())
        self.trouble: list[str] = []
        self.stopping: Callable[[], bool] = lambda: False

    def look(self) -> list[Row]:
        """Make one pass; give what became of each change that was looked at.

        It ends early, between two changes, when `stopping` says so.
        """
        self.trouble, rows = [], list[Row]()
        try:
            if not self._settled:
                self._settle()
            due = self._due()
            if not due and self._clock() - self._followed >= self._retry:
                self._judge.follow()
                self._followed = self._clock()
            for digest in due:
                rows += self._go_on(digest)
        except Unavailable as error:
            # Also when the disk is full: what is begun is then looked up, not remembered.
            self.trouble.append(str(error))
            self._settled = False
        self._send()
        self.trouble += [self._judge.trouble] if self._judge.trouble else []
        return rows + [shut.row for shut in self._shut.values() if shut.row not in rows]

    def counts(self) -> dict[str, int]:
        """Say how many actions were begun, how many reports wait, and the guards' time."""
        unsent, consumed = len(self._outbox.waiting()), len(self._journal.consumed)
        return {"consumed": consumed, "unsent": unsent, "time": self._judge.now()}

    def time(self, older_than: float) -> int:
        """Give a POSIX second that has surely come, by the guards; 0 if they do not say.

        They are asked if their answers are older than so many seconds.
        """
        self._judge.renew(older_than)
        return self._judge.now()

    def _send(self) -> None:
        try:
            why = self._outbox.send(self._judge.fleet, self._judge.law, self._me.enrolled)
        except Unavailable as error:
            why = str(error)
        if why and why not in self.trouble:
            self.trouble.append(why)

    def _settle(self) -> None:
        trouble = ""
        try:
            self._actions.recover()
        except Locked:
            raise
        except DriverFailed as error:
            trouble = str(error)
        if self._journal.open:
            work = self._load(self._journal.open.bundle)
            action = self._journal.open.action
            if work is None:
                raise HttpUnavailable(f"the bundle of `{action}`, which was begun, cannot be had")
            order = work.bundle.order
            both = [c for c in order["changes"] + order["undo"] if work.action(c) == action]
            self._judge.renew()
            self._look_back(self._step(work, both[0]), trouble)
        self._settled = True

    def _look_back(self, step: _Step, trouble: str) -> None:
        found, have = self._actions.found(step.change), self._actions.observed(step.change)
        if found == "done":
            self._end(step, Ended("succeeded", "", "found done after the agent was stopped", have))
        elif found == "between" or trouble:
            why = trouble or "half done when the agent was stopped"
            self._end(step, Ended("failed", "interrupted", why, have))

    def _due(self) -> list[str]:
        try:
            listed = self._shelf.listed()
        except HttpUnavailable as error:
            self.trouble.append(str(error))
            listed = []
        begun, due = list(self._journal.bundles), list[str]()
        for digest in [*begun, *(d for d in listed if d not in begun)]:
            shut = self._shut.get(digest)
            asleep = shut and shut.size == self._judge.size and self._clock() < shut.until
            if digest in self._over or asleep:
                continue
            work = self._load(digest)
            if work and next_change(work, self._journal.ended):
                due.append(digest)
            elif work:
                self._finish(digest)
        gone = self._shut.keys() - set(begun) - set(listed)
        self._shut = {d: shut for d, shut in self._shut.items() if d not in gone}
        self._waited = {d: waits for d, waits in self._waited.items() if d in due}
        self._over &= {*begun, *listed}
        self._shelf.tidy({*listed, *self._journal.bundles})
        return due

    def _load(self, digest: str) -> Work | None:
        try:
            data = self._shelf.get(digest)
            return Work(digest, data, read_bundle(data))
        except HttpUnavailable as error:
            self.trouble.append(str(error))
        except Refused as refused:
            self._over.add(digest)
            about = About(NO_NOTICE, digest, "none", "none")
            self._say(about, refused.reason, refused.detail)
        return None

    def _finish(self, digest: str) -> None:
        self._over.add(digest)
        self._shut.pop(digest, None)
        if digest in self._journal.bundles:
            self._journal.finish(digest)

    def _go_on(self, digest: str) -> list[Row]:
        rows, work = list[Row](), self._load(digest)
        while work and (change := next_change(work, self._journal.ended)):
            if self.stopping():
                return rows
            step = self._step(work, change)
            try:
                rows.append(self._back(step) or self._attempt(step))
            except CannotDo as error:
                rows.append(self._refuse(step, error.reason, str(error)))
            except (DriverFailed, HttpUnavailable) as error:
                rows.append(self._wait(step, "unavailable", str(error)))
            self._send()
            if rows[-1].state in ("waiting", "refused"):
                return rows
        if work:
            self._finish(digest)
        return rows

    def _step(self, work: Work, change: Json) -> _Step:
        action, failed = work.action(change), failed_change(work, self._journal.ended)
        cause = failed or change["caused_by"]
        about = About(work.notice, work.bundle.hash, change["id"], change["type"], cause)
        open_ = self._journal.open
        return _Step(
            work, change, about, action, action if open_ and open_.action == action else ""
        )

    def _attempt(self, step: _Step) -> Row:
        if self._journal.open and not step.resumed:
            return self._wait(step, "not_acknowledged", "an action begun before waits for guards")
        if step.change["type"] == "undo" and self._actions.found(step.change) == "done":
            return self._nothing_to_undo(step)
        self._judge.renew(RENEW)
        packages, named = tuple(packages_of(step.change)), named_in(step.change)
        presumed = Staged(packages, (), named, named)
        if refusal := self._refused(step, presumed):
            return self._no(step, refusal)
        try:
            staged = self._actions.prepare(step.work.bundle.order, step.change)
        except ArtefactDiffers as error:
            return self._refuse(step, "artefact_swapped", str(error))
        except TransactionDiffers as error:
            return self._refuse(step, "transaction_differs", str(error))
        return self._begin(step, staged)

    def _begin(self, step: _Step, staged: Staged) -> Row:
        self._judge.renew()
        if refusal := self._refused(step, staged):
            return self._no(step, refusal)
        if not step.resumed:
            self._journal.begin(step.action, step.work.digest)
            step = step._replace(resumed=step.action)
        if not self._judge.acknowledge():
            return self._wait(step, "not_acknowledged", "too few guards hold the consume note yet")
        if refusal := self._refused(step, staged):
            return self._no(step, refusal)
        started = self._judge.now()
        if step.change["type"] == "reboot":
            ended = self._actions.leave(_name(step))
            return self._end(step, ended) if ended else self._going(step)
        done = self._actions.act(_name(step), step.change, staged)
        return self._end(step, done._replace(started=started))

    def _back(self, step: _Step) -> Row | None:
        """Report a reboot that was asked for; None if it never was."""
        if not step.resumed or step.change["type"] != "reboot":
            return None
        try:
            done = self._actions.back(_name(step))
        except LookupError:
            return None
        return self._end(step, done) if done else self._going(step)

    def _going(self, step: _Step) -> Row:
        return self._wait(step, "rebooting", "this host goes down")

    def _nothing_to_undo(self, step: _Step) -> Row:
        # What was never done cannot be reversed; the kernel wants each undo in its turn.
        if not step.resumed:
            self._journal.begin(step.action, step.work.digest)
        have = self._actions.observed(step.change)
        return self._end(step, Ended("succeeded", "already", "nothing to undo", have))

    def _refused(self, step: _Step, staged: Staged) -> Refused | None:
        installed, change = self._actions.installed(step.change), step.change["id"]
        here, seen = {p.name: p.sha256 for p in staged.packages}, staged.foreseen
        rehearsed = {change: (seen.effects, seen.classes)} if seen else {}
        verdict = self._judge.verdict(
            step.work.data, change, installed, here, step.resumed, rehearsed
        )
        return verdict if isinstance(verdict, Refused) else None

    def _end(self, step: _Step, done: Ended) -> Row:
        now = self._judge.now()
        done = done._replace(started=done.started or now, ended=now)
        name = self._me.signer.key.name
        body = body_of(name, step.about, done, self._journal.next_seq())
        self._journal.end(step.action, body)
        self._shut.pop(step.work.digest, None)
        return Row(step.about, done.result, done.reason, done.detail)

    def _no(self, step: _Step, refusal: Refused) -> Row:
        if refusal.reason not in WAITS:
            return self._refuse(step, refusal.reason, refusal.detail)
        waits = self._waited.setdefault(step.work.digest, Counter())
        key = (step.about, refusal.reason)
        waits[key] += 1
        if waits[key] >= self._patience:
            self._say(step.about, refusal.reason, refusal.detail)
        return self._wait(step, refusal.reason, refusal.detail)

    def _wait(self, step: _Step, reason: str, detail: str) -> Row:
        return Row(step.about, "waiting", reason, detail)

    def _refuse(self, step: _Step, reason: str, detail: str) -> Row:
        row = Row(step.about, "refused", reason, detail)
        if step.resumed:
            return self._end(step, Ended("refused", reason, detail))
        self._say(step.about, reason, detail)
        self._shut[step.work.digest] = _Shut(self._judge.size, self._clock() + self._retry, row)
        if reason == "too_late":
            self._finish(step.work.digest)
        return row

    def _say(self, about: About, reason: str, detail: str) -> None:
        if not self._refusals.known(about, reason):
            now, seq = self._judge.now(), self._journal.next_seq()
            ended = Ended("refused", reason, detail, {}, now, now)
            body = body_of(self._me.signer.key.name, about, ended, seq)
            self._refusals.add(about, reason, body)


def _name(step: _Step) -> str:
    return f"{step.about.notice[:16]}-{step.about.order[:16]}-{step.about.change}"
