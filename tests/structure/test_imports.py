"""Who can reach what is a security statement, and the statements hold."""

import subprocess
import sys
from pathlib import Path

from tests.structure.source import ROOT, modules

# Each of these is a function of its arguments; none reads the world.
KERNEL_MAY_IMPORT = frozenset(
    {
        "abc", "base64", "binascii", "bisect", "collections", "contextlib", "cryptography",
        "dataclasses", "enum", "functools", "hashlib", "hmac", "itertools", "json", "math",
        "operator", "re", "string", "struct", "types", "typing",
    }
)  # fmt: skip
# `hash` and `id` differ from run to run, the others read or change the world.
KERNEL_MAY_NOT_CALL = frozenset(
    {
        "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "globals", "hash", "id",
        "input", "locals", "open", "print", "setattr", "vars",
    }
)  # fmt: skip
RANDOM_WORDS = frozenset({"generate", "generate_key", "generate_private_key", "urandom"})


def test_import_contracts_hold() -> None:
    """No room reaches a room that a contract keeps from it, nor an engine by a second door."""
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kernel_imports_only_pure_modules() -> None:
    """The kernel has no clock, file, socket, environment, random or logging to misuse."""
    bad = [
        f"{m.path}:{line} {name}"
        for m in modules("src/answerable/kernel")
        for line, name in m.imports()
        if name.split(".")[0] not in KERNEL_MAY_IMPORT and not name.startswith("answerable.kernel")
    ]
    assert bad == []


def test_kernel_calls_nothing_that_reads_the_world() -> None:
    """A verdict depends on the evidence and the time that was handed in, and on nothing else."""
    bad = [
        f"{m.path}:{line} {name}"
        for m in modules("src/answerable/kernel")
        for line, name, _ in m.calls()
        if name in KERNEL_MAY_NOT_CALL - m.names()
    ]
    assert bad == []


def test_kernel_draws_nothing_at_random() -> None:
    """The same evidence and time give the same verdict, today and in the audit."""
    bad = [
        f"{m.path}:{line} {name}"
        for m in modules("src/answerable/kernel")
        for line, name, _ in m.calls()
        if name.rpartition(".")[2] in RANDOM_WORDS
    ]
    assert bad == []
