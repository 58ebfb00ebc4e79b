"""Why a flaw stands where it stands: a letter that a person can check with a pencil.

`account` gives it as data, `lines` as text. It holds: what applies and where; the date, and the row
of the directive's table that set it; every part of the score with whose word it is and how old; the
model's answer taken apart, in odds; what would change the answer; what is not known; and what was
said and does not count, because it waits for another channel or for a person.

Rules: the parts add up exactly, in rules and model. Every text of a feed is plain text. Times are
UTC, ages are as of the second that the caller names.

Left out: who allowed a change because of it (evidence/explain.py).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from answerable.exposure import bod2604
from answerable.exposure.export import moment
from answerable.exposure.model import MILLIONTHS, SHARES, Model, probability
from answerable.exposure.plain import plain
from answerable.exposure.rank import Context, Learned, Ranked, Reason
from answerable.kernel.errors import Unavailable

TERMS = 8
"""How many of the model's terms are shown; the others are summed up."""
CHANGES = 6
"""How many single changes to the model's answer are shown."""
HOSTS = 20
"""How many hosts are shown; the others are counted."""
MOST = 60.0
"""Largest logit that is shown as odds."""
LEAST = 1000
"""Terms below this many millionths say nothing."""
_HOUR, _DAY = 3_600, 86_400


class NotExposed(Unavailable):
    """The flaw does not apply to anything that is known."""


def account(cve: str, host: str, rows: Sequence[Ranked], context: Context) -> dict[str, Any]:
    """Explain a flaw, on one host or on all.

    Args:
        host: empty for all.
        rows: exposures, the most urgent first.

    Raises:
        NotExposed: if nothing that is known has the flaw.
    """
    mine = [
        row for row in rows
        if cve in (*row.exposure.advisory.cves, row.exposure.advisory.id)
        and host in ("", row.exposure.host)
    ]  # fmt: skip
    if not mine:
        where = f"`{host}` is" if host else "no known host is"
        raise NotExposed(f"{where} exposed to `{cve}`, as far as is known; see `exposure list`")
    top = mine[0]
    return {
        "flaw": cve, "time": context.now, "exposed": [_where(row) for row in mine],
        "decided_by": _decided(top), "timeline": top.verdict.floor.timeline,
        "due": top.verdict.due, "since": top.verdict.since, "score": top.score,
        "parts": [_part(reason, context.now) for reason in top.reasons],
        "model": _model(top.verdict.learned, context),
        "changes": list(_changes(top, context)),
        "not_known": list(_not_known(top, context)),
        "waiting": [
            {"field": name, "value": said.value, "state": said.state,
             "channels": list(said.channels), "said": said.said}
            for name, said in context.waiting(top.verdict.cve or cve)
        ],
    }  # fmt: skip


def _where(row: Ranked) -> dict[str, Any]:
    exposure = row.exposure
    return {
        "host": exposure.host, "package": exposure.installed.package,
        "installed": exposure.installed.version, "fixed": exposure.advisory.fixed,
        "available": exposure.fix.version if exposure.fix else "",
        "advisory": exposure.advisory.id, "score": row.score,
    }  # fmt: skip


def _decided(top: Ranked) -> str:
    learned = [reason for reason in top.reasons if reason.kind == "model"]
    rules = max(top.reasons, key=lambda reason: reason.points)
    words = f"the rule: {rules.because}"
    return f"{words}; within it, also {learned[0].because}" if learned else words


def _part(reason: Reason, now: int) -> dict[str, Any]:
    age = max(0, now - reason.said) if reason.said else None
    return {"kind": reason.kind, "points": reason.points, "because": reason.because,
            "channels": list(reason.channels), "said": reason.said, "age": age}  # fmt: skip


def _model(learned: Learned | None, context: Context) -> dict[str, Any]:
    if context.model is None:
        return {"absent": context.without}
    if learned is None:
        return {"absent": "nothing is said of the flaw that a model could see"}
    parts = [
        {"term": part.name, "values": list(part.values), "millionths": part.millionths}
        for part in context.model.parts(learned.said)
    ]
    return {
        "sha256": context.model.sha256, "score": learned.score, "band": learned.band,
        "intercept": context.model.intercept, "terms": parts,
        "probability": round(probability(learned.score), 4),
    }  # fmt: skip


def _changes(top: Ranked, context: Context) -> Iterator[str]:
    for question, letter, timeline in top.verdict.floor.changes():
        yield f"{question} {letter} would mean: {bod2604.WORDS[timeline]}"
    learned = top.verdict.learned
    if context.model and learned:
        found = sorted(
            context.model.changes(learned.said),
            key=lambda c: (abs(c.score - learned.score), c.feature),
        )
        for change in found[:CHANGES]:
            now = "not said" if change.now is None else change.now
            yield (
                f"{change.feature} {change.instead} instead of {now} would put it "
                f"{_band(change.band)} ({(change.score - learned.score) / MILLIONTHS:+.2f} logits)"
            )


def _band(band: int) -> str:
    return f"in the model's first {SHARES[band - 1] / 10:g} %" if band else "in its lower half"


def _not_known(top: Ranked, context: Context) -> Iterator[str]:
    for question in top.verdict.floor.unknown:
        letter = top.verdict.floor.row[question]
        yield f"{question}: nobody said so, and it was taken as {letter}, the worse"
    for reason in top.reasons:
        if reason.because.startswith("no "):
            yield reason.because
    if top.exposure.fix is None:
        yield "where the fixed version could be had from"
    if context.model is None:
        yield f"what a model would say: {context.without}"


def lines(said: dict[str, Any]) -> Iterator[str]:
    """Spell an account."""
    where = said["exposed"]
    yield f"{plain(said['flaw'])}: {len(where)} exposures, as of {moment(said['time'])}"
    for row in where[:HOSTS]:
        fixed = f"fixed in {row['fixed']}" if row["fixed"] else "no fixed version"
        yield plain(
            f"  {row['host']}: {row['package']} {row['installed']}, {fixed} ({row['advisory']})"
        )
    if len(where) > HOSTS:
        yield f"  and {len(where) - HOSTS} more"
    due = f"due {moment(said['due'])}" if said["due"] else "no date"
    yield f"{due}: {bod2604.WORDS[said['timeline']]}, from {moment(said['since']) or 'now'} on"
    yield f"decided by {plain(said['decided_by'])}"
    yield f"score {said['score']}, the sum of:"
    for part in said["parts"]:
        yield plain(f"  {part['points']:>6}  {part['because']}{_source(part)}")
    yield from _spelled_model(said["model"])
    for title, rows in (("what would change it", said["changes"]),
                        ("not known", said["not_known"])):  # fmt: skip
        if rows:
            yield f"{title}:"
            yield from (f"  {plain(row)}" for row in rows)
    if said["waiting"]:
        yield "said, and not counted until another channel or a person agrees:"
        for one in said["waiting"]:
            who = ", ".join(one["channels"]) or "nobody"
            yield plain(f"  {one['field']} = {one['value'][:80]} ({one['state']}, by {who})")


def _source(part: dict[str, Any]) -> str:
    if not part["channels"]:
        return ""
    who = ", ".join(part["channels"])
    if part["age"] is None:
        return f" [{who}; not dated]"
    return f" [{who}; {moment(part['said'])}, {_age(part['age'])} old]"


def _age(seconds: int) -> str:
    if seconds < _DAY:
        return f"{seconds // _HOUR} h"
    return f"{seconds // _DAY} d"


def _spelled_model(said: dict[str, Any]) -> Iterator[str]:
    if "absent" in said:
        yield f"no model had a say: {plain(said['absent'])}"
        return
    yield (
        f"the model {said['sha256'][:16]} gives {said['score'] / MILLIONTHS:.6f} logits "
        f"(probability {said['probability']}), {_band(said['band'])}; the sum of:"
    )
    yield f"  {said['intercept'] / MILLIONTHS:>+10.6f}  before anything is known"
    shown = [term for term in said["terms"] if abs(term["millionths"]) >= LEAST][:TERMS]
    for term in shown:
        values = ", ".join("not said" if v is None else str(v) for v in term["values"])
        odds = math.exp(max(-MOST, min(MOST, term["millionths"] / MILLIONTHS)))
        weight = f"{term['millionths'] / MILLIONTHS:>+10.6f}"
        yield plain(f"  {weight}  {term['term']} = {values} (odds x{odds:.2f})")
    rest = sum(t["millionths"] for t in said["terms"]) - sum(t["millionths"] for t in shown)
    yield f"  {rest / MILLIONTHS:>+10.6f}  {len(said['terms']) - len(shown)} other terms together"


def model_of(model: Model | None, without: str) -> str:
    """Say by what was ranked: the model's hash, or why rules decided alone."""
    return f"model {model.sha256}" if model else f"rules alone: {without}"
