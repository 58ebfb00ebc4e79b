"""kill -9 at any moment: the story ends the same, nothing is applied twice, nothing is lost."""

import os
import random
import shutil
import signal
import subprocess
import sys

import pytest

from tests.fakes.host_world import HostWorld
from tests.host.conftest import Site
from tests.host.test_agent import DONE, MOVED, failing, observe
from tests.simulator import OLD

SEED = int(os.environ.get("KILL_SEED", "20261122"))
SOME = 8
"""How many steps are tried where every step would take too long."""


def run(site: Site, step: int) -> "subprocess.CompletedProcess[str]":
    """Run the agent's process until it is done, or has killed itself at a step."""
    port = site.world.url.rpartition(":")[2]
    if site.checks["nginx"].port == 1:
        port = "1"
    words = [sys.executable, "-m", "tests.fakes.killed_agent", str(site.place)]
    words += [str(site.driver.place), port, str(step)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)


def killed_then_finished(site: Site, step: int) -> bool:
    """Kill at a step, then let a new process finish; tell whether the step was reached."""
    died = run(site, step)
    assert died.returncode in (0, -signal.SIGKILL), died.stderr
    again = run(site, 0)
    assert again.returncode == 0, again.stderr
    return died.returncode != 0


def check(site: Site, step: int) -> None:
    """The story has ended as it always does."""
    assert sorted(site.driver.applied) == MOVED, step
    assert 1 <= len(site.services.restarted) <= 2, step
    assert [(c, r) for c, r, _ in site.world.said()] == [row[:2] for row in DONE], step
    seqs = [b["seq"] for b in site.world.reports.values()]
    assert sorted(seqs) == [1, 2, 3], step


def count(site: Site) -> int:
    """Give how many steps a whole story takes."""
    done = run(site, 0)
    assert done.returncode == 0, done.stderr
    check(site, 0)
    return int(done.stdout)


def steps(total: int, number: int) -> list[int]:
    """Choose steps by the seed, and say which."""
    chosen = sorted(random.Random(SEED).sample(range(1, total + 1), min(number, total)))
    sys.stderr.write(f"seed {SEED}, steps {chosen} of {total}\n")
    return chosen


def replayed(world: HostWorld, site: Site) -> None:
    """Found everything anew, for the next kill."""
    shutil.rmtree(site.place)
    shutil.rmtree(site.driver.place)
    world.found()
    for kept in (world.bundles, world.reports, world.lasts, world.known):
        kept.clear()
    site.driver = type(site.driver)(site.driver.place)
    site.enrol()
    world.hand_out(world.sim.permitted())


@pytest.mark.parametrize("number", [SOME, pytest.param(10_000, marks=pytest.mark.live)])
def test_killed_anywhere_the_story_ends_the_same(site: Site, number: int) -> None:
    """At steps chosen by a printed seed; the live run tries every one."""
    site.world.hand_out(site.world.sim.permitted())
    total = count(site)
    assert total > 50
    for step in steps(total, number):
        replayed(site.world, site)
        killed_then_finished(site, step)
        check(site, step)


def test_killed_again_and_again_it_still_ends(site: Site) -> None:
    """Every new process is killed a few steps further on."""
    site.world.hand_out(site.world.sim.permitted())
    chance = random.Random(SEED)
    for _ in range(SOME):
        if run(site, chance.randrange(10, 60)).returncode == 0:
            break
    assert run(site, 0).returncode == 0
    assert sorted(site.driver.applied) == MOVED
    assert [(c, r) for c, r, _ in site.world.said()] == [row[:2] for row in DONE]


def test_killed_while_undoing_it_is_undone_once(site: Site) -> None:
    """An undo is no weaker than what it undoes."""
    order = failing(site)
    site.look()
    observe(site.world, order)
    for step in steps(60, 3):
        run(site, step)
    assert run(site, 0).returncode == 0
    assert site.driver.installed()["libssl3"] == OLD
    assert len(site.driver.applied) == 4
    results = {c: r for c, r, _ in site.world.said()}
    assert results["undo-up"] == results["undo-restart"] == "succeeded"
