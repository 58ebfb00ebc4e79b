"""One machine for all tests of this folder: booting takes minutes where it is emulated."""

import subprocess
from collections.abc import Iterator
from compileall import compile_dir
from py_compile import PycInvalidationMode

import pytest

from answerable.demo.distribution import this_machine
from answerable.kernel.canon import encode
from scripts.host_artefact import build as build_agent
from tests.fakes.fake_driver import FakeDriver, FakeServices
from tests.fakes.host_world import serving
from tests.host.conftest import Site
from tests.structure.source import ROOT
from tests.vm.disk import Disk
from tests.vm.machine import LOOPBACK, Machine
from tests.vm.orders import HOST, Plans, Real
from tests.vm.story import AGENTD, HOME, Story, settings


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A machine that has booted by its own boot sector, and the agent installed on it, not running.

    The world around it is the simulator's, served on this machine's loopback.
    """
    place = tmp_path_factory.mktemp("vm")
    cache = ROOT / ".cache/vm"
    cache.mkdir(parents=True, exist_ok=True)
    disk = Disk(cache, this_machine())
    plans = Plans(disk, place)
    with serving(HOST, "127.0.0.1", Real, facts=plans.facts()) as world:
        assert isinstance(world, Real)
        assert world.url.startswith(f"http://{LOOPBACK}:")
        world.files = plans.files
        folder = place / "given"
        build_agent(folder / "agent")
        # Not of the artefact: to compile it at each start takes an emulated processor a minute.
        mode = PycInvalidationMode.UNCHECKED_HASH
        compile_dir(folder / "agent", quiet=1, invalidation_mode=mode)
        site = Site(world, folder / "site", FakeDriver(place), FakeServices(place))
        site.enrol()
        settings(folder / "site/settings.json")
        peers = [world.url, "http://127.0.0.1:80"]
        # Debian 12's kernel is older than Landlock's rules for ports.
        agentd = {"lacks": ["landlock_network"], "peers": peers, "socket": AGENTD}
        (folder / "agentd.json").write_text(encode(agentd))
        (folder / "volume.py").write_bytes((ROOT / "tests/vm/volume.py").read_bytes())
        for deb in plans.before:
            (folder / deb.name).write_bytes(deb.read_bytes())
        image = place / "given.img"
        words = ["mke2fs", "-q", "-t", "ext4", "-d", str(folder), str(image), "128M"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        copy = disk.copy(place / "disk")
        machine = Machine(place / "console", (copy, image))
        told = Story(disk, plans, world, machine, (copy, image), place)
        try:
            machine.up()
            _install(machine)
            yield told
        finally:
            told.machine.end()


def _install(machine: Machine) -> None:
    machine.do("mount", "-o", "ro", "/dev/vdb", "/mnt")
    machine.do("sh", "-c", "dpkg --install /mnt/*.deb")
    machine.do("/usr/bin/python3", "-I", "-S", "/mnt/agent", "install", "--root", "/")
    machine.do("systemd-sysusers")
    machine.do("sh", "-ec", f"cp -r /mnt/site/. /{HOME}; chmod 700 /{HOME}; chmod 600 /{HOME}/*; "
               "mkdir -p /etc/answerable; cp /mnt/agentd.json /etc/answerable")  # fmt: skip
