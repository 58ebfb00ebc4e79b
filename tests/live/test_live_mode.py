"""Scripts that touch a running service's data: on the host, confined, and undone if wrong."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from answerable.bootstrap.rehearsing import read_effects
from answerable.host.driver import OUTPUT_LIMIT
from tests.live import sabotage, store
from tests.live.test_fleet import (  # noqa: F401  fixtures are found by their names here
    SEED,
    World,
    _ground,
    _world,
    answer,
    until,
)
from tests.live.test_rehearsal import Planner, named
from tests.live.test_transaction import KILLED, differing, running, sweep

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs("mount", "overlay", "stacked", "network", "uids", "mmdebstrap", "apt"),
]
ALLOWED = {"allow": ["live"], "sockets": [f"/run/{store.NAME}"]}
ASK = (
    "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8090/').read().decode(), end='')"
)


IMPOSSIBLE = {"/usr/bin/dpkg"}
"""What a live script lacks the capability for."""
KILL = """
import contextlib, os, pathlib
for place in pathlib.Path('/proc').glob('[0-9]*'):
    with contextlib.suppress(OSError):  # it may just have ended
        if int(place.name) != os.getpid() and b'/opt/drive.py' in (place / 'cmdline').read_bytes():
            os.kill(int(place.name), 9)
"""


class Host:
    """A host on which the first version runs, with data."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world, self.debs = world, store.build(folder)
        world.up("a")
        self.root = world.fleet.root("a")
        for _, file in self.debs.values():
            (self.root / file.name).write_bytes(file.read_bytes())
        world.said("a", "dpkg", "--install", f"/{self.debs['1'][1].name}")
        self.data = self.root / store.DATA
        self.data.write_text("format 1\n")
        self.service = world.fleet.start_in("a", ["python3", "-c", store.SERVE])
        until(lambda: self.served() == "format 1\n", "the service answers")

    def served(self) -> str:
        """Give what the running service answers."""
        return self._world.said("a", "python3", "-c", ASK)

    def start(self, do: str, version: str, **more: Any) -> "subprocess.Popen[bytes]":  # noqa: ANN401  JSON
        """Start an upgrade to a version, or its undo."""
        old, new = self.debs["1"][0], self.debs[version][0]
        ends = (new, old) if do == "undo" else (old, new)
        row = [store.NAME, ends[0].after, ends[1].after, ends[1].sha256]
        urls = {p.sha256: f"file:///{file.name}" for p, file in self.debs.values()}
        job = {"do": do, "packages": [row], "urls": urls, "undo": do == "undo"}
        return self._world.send("a", {**job, "transaction": ALLOWED, **more})

    def does(self, do: str, version: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
        """Do it."""
        return answer(self.start(do, version, **more))

    def kill_agent(self) -> None:
        """Kill the driver's process, and nothing else."""
        self._world.said("a", "python3", "-c", KILL)

    def cut(self, chance: random.Random, *, undo: bool) -> int:
        """Kill an upgrade or undo at a step; give the step."""
        most = 60
        while True:
            if undo:
                self.does("upgrade", "2")
            step = chance.randint(1, most)
            process = self.start("undo" if undo else "upgrade", "2", die_at=step)
            said = process.communicate()[0]
            if process.returncode in KILLED:
                return step
            assert process.returncode == 0, said
            # It has fewer steps than were guessed, and was through before: it tells how many.
            most = min(most - 1, json.loads(said.splitlines()[-1])["steps"])
            if not undo:
                self.does("undo", "2")

    def sweep(self) -> dict[str, str]:
        """Give a hash of every path."""
        return sweep(self._world, "a")

    def running(self) -> list[str]:
        """Give the names of the processes."""
        return running(self._world, "a")


@pytest.fixture(name="host")
def _host(world: World, tmp_path: Path) -> Host:
    return Host(world, tmp_path)


def test_data_of_a_running_service_is_migrated_and_comes_back(host: Host) -> None:
    """Only with the class `live`; the undo gives it back, and keeps what was written since."""
    before = host.sweep()
    refused = host.does("upgrade", "2", transaction={"allow": []})
    assert refused["error"] == "TransactionDiffers", refused["message"]
    assert f"/{store.DATA}: live" in refused["also"], refused
    assert differing(before, host.sweep()) == []
    done = host.does("upgrade", "2")
    assert done["installed"] == {store.NAME: "2"}, done
    assert f"live in /var/lib/{store.NAME}" in done["said"]
    assert host.served() == "format 2\n"
    assert host.service.poll() is None
    said = host.root / f"var/lib/{store.NAME}/index/said"
    assert said.read_text() == "yes", "the script spoke to the service by its socket"
    changed = differing(before, host.sweep())
    assert not (host.root / f"var/log/{store.NAME}.log").exists(), "only its data is the host's own"
    assert f"/{store.DATA}" in changed
    host.data.write_text("format 2\nwritten since\n")
    undone = host.does("undo", "2")
    assert undone["installed"] == {store.NAME: "1"}, undone
    assert host.served() == "format 1\n"
    assert differing(before, host.sweep()) == []
    since = host.root / "var/lib/answerable-test/transactions/000001/since" / store.DATA
    assert since.read_text() == "format 2\nwritten since\n"


def test_a_clone_finds_what_the_host_does(host: Host, world: World, tmp_path: Path) -> None:
    """The folders are in the hash that is noticed; a clone without data finds no such change."""
    clone = tmp_path / "clone"
    subprocess.run(["cp", "-a", str(world.tree), str(clone)], check=True)
    argv = ["dpkg", f"--root={clone}", "--install", str(host.debs["1"][1])]
    subprocess.run(argv, check=True, capture_output=True)
    planner = Planner(tmp_path, world.distribution.ecosystem, clone)
    (without,) = planner.rehearse([host.debs["2"]])
    (clone / store.DATA).write_text("format 1\n")
    (found,) = planner.rehearse([host.debs["2"]])
    assert (named(without)[1], named(found)[1]) == ([], ["live"])
    done = host.does("upgrade", "2", named=named(without))
    assert done["error"] == "TransactionDiffers", done
    done = host.does("upgrade", "2", named=named(found))
    assert done["said"].startswith(f"effects {named(found)[0]},"), done
    lines = read_effects(planner.effects, named(found)[0]).lines
    assert {"by": store.NAME, "is": "live", "path": f"/var/lib/{store.NAME}"} in lines


def test_scripts_that_do_more_on_the_host_are_undone(host: Host) -> None:
    """A script that behaves in each rehearsal and not on the host changes not one byte."""
    kernel = Path("/proc/sys/kernel/panic").read_text()
    before, processes = host.sweep(), host.running()
    named = dict[str, set[str]]()
    for version in ("hostile", "odd", "failing", "away", "loud"):
        done = host.does("upgrade", version)
        assert "error" in done, done
        assert differing(before, host.sweep()) == [], version
        said = done["message"]
        named[version] = {line.partition(": ")[0] for line in done.get("also", ())}
    assert named["hostile"] >= set(sabotage.PATHS) - IMPOSSIBLE, named["hostile"]
    assert said.endswith("loud"), "the end of what the last one said"
    logs = (host.root / "var/lib/answerable-test").rglob("copy.log")
    assert [log.stat().st_size for log in logs] == [OUTPUT_LIMIT]
    no_data = (".ssh", ".ssh/authorized_keys", "pipe")
    assert named["odd"] == {f"/var/lib/{store.NAME}/{name}" for name in no_data}
    assert f"/etc/{store.NAME}-more" in named["away"], "this one is no live change at all"
    assert host.served() == "format 1\n"
    assert Path("/proc/sys/kernel/panic").read_text() == kernel
    until(lambda: host.running() == processes, "nothing of the scripts runs on")


def test_a_script_gives_no_file_setuid_on_the_host(host: Host) -> None:
    """Not for a moment: somebody else who may write in the data would run it before the check."""
    done = host.does("upgrade", "setuid")
    assert done["installed"] == {store.NAME: "2.setuid"}, done
    came = dict(line.split() for line in (host.root / store.TRIED).read_text().splitlines())
    unseen = {"openat2", "io_uring"}
    assert came == {way: "ENOSYS" if way in unseen else "EPERM" for way in came}, came
    assert len(came) == 10
    folder = host.root / f"var/lib/{store.NAME}"
    assert not [path for path in folder.rglob("*") if path.lstat().st_mode & 0o6000]
    assert {path.name for path in (folder / "index").iterdir()} == {"one", "own", "said", "tried"}


def test_killed_in_the_middle_of_the_script(host: Host) -> None:
    """The script ends with the agent, and what it has half written is brought back."""
    before, processes = host.sweep(), host.running()
    process = host.start("upgrade", "endless")
    until(lambda: host.data.read_text() == "half\n", "the script has begun")
    host.kill_agent()
    process.communicate()
    until(lambda: host.running() == processes, "the script ends with it")
    assert "error" not in host.does("recover", "2")
    assert differing(before, host.sweep()) == []


def test_killed_at_any_step(host: Host) -> None:
    """Of the commit, of keeping the data, of the undo: it is mended at the next start."""
    before = host.sweep()
    for count in range(3):
        undo, step = count == 2, host.cut(random.Random(SEED + count), undo=count == 2)
        found = host.does("recover", "2")
        assert "error" not in found, step
        if found["installed"] == {store.NAME: "2"}:
            host.does("undo", "2")
        assert differing(before, host.sweep()) == [], (step, undo)
