"""What several scenes do: make a plan, log its notice, wait for deliveries, read reports."""

import json
from dataclasses import dataclass
from typing import Any

from answerable.demo.scenes.cast import CONTROL, GUARDS, PEOPLE, Cast, StoryFailed
from answerable.demo.scenes.hosts import Agents
from answerable.demo.scenes.watch import Record, Watch


@dataclass(frozen=True)
class Stage:
    """Who plays, on which hosts, and what the logs say."""

    cast: Cast
    agents: Agents
    watch: Watch


@dataclass(frozen=True)
class Planned:
    """A plan: its digest, its document, and the text of its dry run."""

    digest: str
    body: dict[str, Any]
    text: str

    @property
    def rings(self) -> list[list[str]]:
        """Hosts, ring by ring."""
        return [[json.loads(order)["host"] for order in ring] for ring in self.body["rings"]]

    @property
    def hosts(self) -> list[str]:
        """Hosts, in the order of their rings."""
        return [host for ring in self.rings for host in ring]

    @property
    def packages(self) -> set[str]:
        """Packages that it would upgrade."""
        orders = [json.loads(order) for ring in self.body["rings"] for order in ring]
        return {p["name"] for o in orders for c in o["changes"] for p in c.get("packages", ())}


def make(stage: Stage, title: str, *words: str) -> Planned:
    """Let the control plane make a plan; give it."""
    place = stage.cast.place(CONTROL)
    done = stage.cast.run(CONTROL, "plan", "make", place, "--title", title, *words)
    digest = done.out.splitlines()[-1].removeprefix("digest: ")
    body = json.loads((place / "plans" / digest).read_text("utf-8"))
    return Planned(digest, body, done.out)


def notice(stage: Stage, made: Planned, *words: str) -> Record:
    """Log the notice of a plan; give its record."""
    done = stage.cast.run(CONTROL, "plan", "apply", stage.cast.place(CONTROL), made.digest, *words)
    leaf = done.out.strip()
    stage.watch.until("the notice stands in the log", lambda: bool(_notice(stage, leaf)))
    return _notice(stage, leaf)[0]


def _notice(stage: Stage, leaf: str) -> list[Record]:
    return [row for row in stage.watch.all("notice") if row["leaf"] == leaf]


def told(stage: Stage, said: Record) -> None:
    """Wait until every guard has told everybody, and show it."""
    rows = stage.watch.wait(
        "the guards fetch the plan, check it and tell people",
        len(GUARDS) * len(PEOPLE), "delivery", notice=said["leaf"],
    )  # fmt: skip
    for person in PEOPLE:
        mine = [row for row in rows if row["body"]["person"] == person]
        by = ", ".join(sorted(row["by"][0] for row in mine))
        stage.cast.tell.good(f"told {person}: {mine[0]['body']['status']}, say {by}")


def order_of(made: Planned, host: str) -> dict[str, Any]:
    """Give a host's order."""
    for ring in made.body["rings"]:
        for text in ring:
            order: dict[str, Any] = json.loads(text)
            if order["host"] == host:
                return order
    raise StoryFailed(f"{host} is not in the plan {made.digest}")


def upgrades(made: Planned, host: str) -> list[dict[str, Any]]:
    """Give the upgrades of a host's order."""
    return [change for change in order_of(made, host)["changes"] if change["type"] == "upgrade"]


def follow(stage: Stage, made: Planned, said: Record, host: str) -> None:
    """Wait for all reports of a host, and show them."""
    wanted = {change["id"] for change in order_of(made, host)["changes"]}

    def ready() -> bool:
        rows = reports(stage, said, host)
        bad = [r for r in rows if r["body"]["result"] != "succeeded"]
        if bad:
            body = bad[0]["body"]
            why = f"{body['change']} {body['result']}: {body['reason']}: {body['detail']}"
            raise StoryFailed(f"{host} reports {why}")
        return wanted <= {row["body"]["change"] for row in rows}

    stage.watch.until(f"{host} patches and reports", ready, 240)
    for row in reports(stage, said, host):
        stage.cast.tell.good(spell(row))


def reports(stage: Stage, said: Record, host: str) -> list[Record]:
    """Give what a host reported of a notice, except that it waited."""
    rows = stage.watch.all("report", notice=said["leaf"], host=host)
    rows = [row for row in rows if row["body"]["result"] != "refused"]
    return sorted(rows, key=lambda row: row["body"]["seq"])


def spell(row: Record) -> str:
    """Spell one report."""
    body = row["body"]
    seen = ", ".join(f"{name} {version}" for name, version in body["observed"].items())
    took = f"{body['ended'] - body['started']} s" if body["ended"] else ""
    parts = [f"{body['host']}: {body['change']}", body["result"], body["reason"], seen, took]
    return "  ".join(part for part in parts if part)
