"""Application hosts tell the truth about what is vulnerable, and end only what they started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from answerable.demo.apphosts import RELEASES, AppHosts
from answerable.demo.hosts import FleetFailed, Hosts
from answerable.feeds import cvss
from answerable.host.services.service import process_start
from answerable.host.versions import key

FACTS = json.loads((Path(__file__).parents[2] / "src/answerable/demo/facts.json").read_text())
IDLE = [sys.executable, "-c", "import signal; signal.pause()"]


def test_they_conform_to_the_port(tmp_path: Path) -> None:
    """The story plays on either kind of host."""
    hosts: Hosts = AppHosts(tmp_path)
    assert hosts.names == []


@pytest.mark.parametrize("fact", FACTS, ids=[fact["id"] for fact in FACTS])
def test_fact_applies_to_the_old_release_and_not_to_the_new(fact: dict[str, str]) -> None:
    """Nothing is called vulnerable that is not, and the fix really is one."""
    release = next(r for r in RELEASES if r.package == fact["package"])
    low, _, high = fact["affected"].rpartition(",")
    assert high == f"<{fact['fixed']}"
    if low:
        assert key("pypi", release.old) >= key("pypi", low.removeprefix(">="))
    old, fixed, new = (key("pypi", v) for v in (release.old, fact["fixed"], release.new))
    assert old < fixed <= new


@pytest.mark.parametrize("fact", FACTS, ids=[fact["id"] for fact in FACTS])
def test_score_is_that_of_the_vector(fact: dict[str, str]) -> None:
    """The base score is what the published vector gives."""
    assert cvss.tenths(fact["cvss_vector"]) == round(float(fact["cvss"]) * 10)


def test_every_release_has_a_fact() -> None:
    """No package is upgraded without a reason."""
    assert {r.package for r in RELEASES} == {fact["package"] for fact in FACTS}


def test_down_ends_what_was_started(tmp_path: Path) -> None:
    """Nothing of the demo runs on afterwards."""
    with AppHosts(tmp_path) as hosts:
        process = hosts.run_in_hub(IDLE)
        assert process.poll() is None
    assert process.returncode is not None


def test_leftovers_of_a_killed_demo_are_ended(tmp_path: Path) -> None:
    """The next demo ends what a killed one left, told by pid and start time, and nothing else."""
    ours, other = subprocess.Popen(IDLE), subprocess.Popen(IDLE)
    record = f"{ours.pid} {process_start(ours.pid)}\n{other.pid} 1\n{os.getpid()} \nx\n"
    (tmp_path / "processes.txt").write_text(record)
    AppHosts(tmp_path)
    assert ours.wait(30) == -9
    assert other.poll() is None
    other.kill()
    other.wait()


def test_cable_that_is_not_there_cannot_be_cut(tmp_path: Path) -> None:
    """What this kind of host cannot do is said, not pretended."""
    with pytest.raises(FleetFailed):
        AppHosts(tmp_path).cut("web1")
