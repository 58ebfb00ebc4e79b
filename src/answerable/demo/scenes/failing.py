"""Scene 5: a service refuses to start after the upgrade; the change is undone, the ring halts."""

from answerable.demo import appliance
from answerable.demo.ground import Pending
from answerable.demo.scenes.cast import CONTROL, OBSERVERS
from answerable.demo.scenes.patching import PINNED
from answerable.demo.scenes.stage import Planned, Stage, order_of, reports, spell
from answerable.demo.scenes.watch import Record


def play(stage: Stage, made: Planned, said: Record, chosen: Pending) -> None:
    """Play the scene; at its end the rollout is over."""
    tell, watch, leaf = stage.cast.tell, stage.watch, said["leaf"]
    tell.scene(5, f"{PINNED} runs an appliance that will not start beside the new {chosen.package}")
    failed = watch.wait(
        f"{PINNED} patches, and reports", 1, "report", notice=leaf, host=PINNED, result="failed"
    )
    last = failed[0]["body"]["seq"]
    before = [r for r in reports(stage, said, PINNED) if r["body"]["seq"] < last]
    for row in before:
        tell.good(spell(row))
    tell.bad(f"{spell(failed[0])}: {failed[0]['body']['detail']}")
    tell.bad(f"its own words: {_words(stage)}")
    wanted = len(OBSERVERS)
    seen = watch.wait("observers look at the host", wanted, "failure", notice=leaf, host=PINNED)
    for row in seen:
        tell.good(f"failure logged by {row['by'][0]}: cause {row['body']['cause']}, agrees with "
                  f"report {row['body']['report'][:16]}")  # fmt: skip
    _undone(stage, made, said)
    (outcome,) = watch.wait("the rollout ends", 1, "outcome", notice=leaf)
    tell.bad(f"outcome: {outcome['body']['state']}: {outcome['body']['detail']}")
    for host in made.rings[-1]:
        if not watch.all("report", notice=leaf, host=host):
            tell.line(f"{host} in the last ring has reported nothing: it was never asked to change")
    listed = stage.cast.run(CONTROL, "rollout", "list", stage.cast.place(CONTROL))
    tell.quote(listed.out)


def _words(stage: Stage) -> str:
    root, real = stage.cast.ground.hosts.root(PINNED), stage.cast.ground.kind == "real"
    log = root / ("var/log/appliance.log" if real else f"services/{appliance.UNIT}.log")
    lines = [x for x in log.read_text("utf-8", "replace").splitlines() if "refuses" in x]
    return lines[-1] if lines else "none"


def _undone(stage: Stage, made: Planned, said: Record) -> None:
    wanted = {change["id"] for change in order_of(made, PINNED)["undo"]}

    def ready() -> bool:
        done = [r for r in reports(stage, said, PINNED) if r["body"]["change"] in wanted]
        return {r["body"]["change"] for r in done} >= wanted

    stage.watch.until(f"{PINNED} undoes its own failed change", ready, 240)
    for row in reports(stage, said, PINNED):
        if row["body"]["change"] in wanted:
            stage.cast.tell.good(f"{spell(row)}  because of {row['body']['caused_by']}")
