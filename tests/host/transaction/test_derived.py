"""What is computed from other files is computed by the host's own tools."""

from answerable.host.transaction.derived import commands, discarded, source_of, tool_of

PYC = "/usr/lib/python3.11/__pycache__/os.cpython-311.pyc"


def test_tools_and_sources() -> None:
    """Each path has one tool; byte code has one source."""
    assert source_of(PYC) == "/usr/lib/python3.11/os.py"
    assert source_of("/etc/ld.so.cache") == ""
    assert tool_of("/usr/bin/openssl") is None


def test_commands_are_made_once_each() -> None:
    """Sources that are gone are left out, and so is a tool that has nothing to do."""
    paths = ["/etc/ld.so.cache", PYC, PYC.replace("os.", "gone.")]
    found = commands(paths, lambda path: "gone" not in path)
    python = ("/usr/bin/python3", "-I", "-S", "-m", "py_compile", "/usr/lib/python3.11/os.py")
    assert found == [("/sbin/ldconfig",), python]
    assert commands([PYC], lambda _: False) == []


def test_many_sources_are_split() -> None:
    """No command line grows without end."""
    many = [f"/usr/lib/__pycache__/m{n}.cpython-311.pyc" for n in range(1200)]
    assert [len(c) - 5 for c in commands(many, lambda _: True)] == [500, 500, 200]


def test_logs_and_caches_are_not_committed() -> None:
    """Nothing that the host reads to decide anything is among them."""
    assert all(map(discarded, ["/var/log/dpkg.log", "/var/cache/x", "/var/lib/dpkg/status-old"]))
    for path in ("/var/lib/dpkg/status", "/etc/x", "/var/lib/apt", "/root/.ssh/authorized_keys"):
        assert not discarded(path)


def test_a_kernel_is_made_bootable_one_call_each_and_in_order() -> None:
    """Dependencies of modules come first, since the initial disk is made of them."""
    paths = [f"/boot/initrd.img-{n}" for n in (1, 2)]
    paths += [f"/usr/lib/modules/{n}/modules.{end}" for n in (1, 2) for end in ("dep", "alias.bin")]
    made = ("/usr/sbin/mkinitramfs", "-o")
    assert commands(paths, lambda _: True) == [
        ("/sbin/depmod", "1"), ("/sbin/depmod", "2"),
        (*made, "/boot/initrd.img-1", "1"), (*made, "/boot/initrd.img-2", "2"),
    ]  # fmt: skip
    assert commands(paths[:1], lambda _: False) == []


def test_what_a_kernel_ships_is_computed_by_nobody() -> None:
    """A tool owns its outputs, and not the modules or lists that packages ship."""
    for path in ("kernel/fs/x.ko", "modules.order", "modules.builtin", "modules.builtin.modinfo"):
        assert tool_of(f"/lib/modules/1/{path}") is None
    for path in (
        "/boot/vmlinuz-1",
        "/boot/initrd.img",
        "/boot/grub/grub.cfg",
        "/boot/x/initrd.img-1",
    ):
        assert tool_of(path) is None
