"""The built agent: `cryptography` is all it needs, and without ML-DSA it does nothing at all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from answerable.host import floor
from scripts.host_artefact import build
from tests.host.conftest import Site

_LOADED = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    files = {getattr(m, "__file__", None) or "" for m in list(sys.modules.values())}
    sys.stderr.write("LOADED " + " ".join(sorted(files)))
"""


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artefact, built once."""
    out = tmp_path_factory.mktemp("artefact") / "agent"
    build(out)
    return out


def run(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the bare interpreter: isolated, without site packages, without an environment."""
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    return subprocess.run(
        [str(python), "-I", "-S", *map(str, words)], capture_output=True, text=True, check=False,
        env={"PATH": os.defpath}, cwd="/",
    )  # fmt: skip


def test_it_verifies_and_reports_with_nothing_else_of_ours(artefact: Path, site: Site) -> None:
    """The whole way: log, guards, verdict, signed report; every module is its own or Python's."""
    site.world.hand_out(site.world.sim.play(wait=10))
    words = (artefact, "apply", "--dir", site.place, "--output", "json")
    done = run("-c", _LOADED, *words)
    assert done.returncode == 3, done.stderr
    changes = json.loads(done.stdout)["changes"]
    assert [(c["state"], c["reason"]) for c in changes] == [("waiting", "window_open")]
    assert site.world.said() == [("up", "refused", "window_open")]
    loaded = done.stderr.rpartition("LOADED ")[2].split()
    ours = (str(artefact), str(Path(os.__file__).parent))
    assert [path for path in loaded if not path.startswith(ours)] == []
    assert run(*words).returncode == 3, "and the way that a host runs it"


def test_it_enrols(artefact: Path, tmp_path: Path, site: Site) -> None:
    """Key and record are made with it; the proof is kept with it."""
    place = tmp_path / "new"
    charter, settings = site.place / "charter.note", site.place / "settings.json"
    words = ("enrol", "--dir", place, "--name", "web9", "--charter", charter)
    done = run(artefact, *words, "--settings", settings, "--zone", "web")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["host"] == "web9"
    proof = site.place.with_name("proof.json")
    shutil.copy(site.place / "enrolled.json", proof)
    done = run(artefact, "enrol", "--dir", site.place, "--proof", proof, "--start", "guards")
    assert done.returncode == 0, done.stderr
    assert f"record {len(site.world.entries)}" in done.stderr


def test_without_mldsa_it_says_so_and_does_nothing(artefact: Path, tmp_path: Path) -> None:
    """As with the distribution's own build: one line, exit code 1."""
    crippled = tmp_path / "agent"
    shutil.copytree(artefact, crippled)
    module = crippled / "cryptography/hazmat/primitives/asymmetric/mldsa.py"
    module.unlink()
    done = run(crippled, "status", "--dir", tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: no ML-DSA-44 on this host")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise UnsupportedAlgorithm('not in this build')", "not in this build"),
        ("return Wrong()", "computes wrong keys"),
    ],
)
def test_a_build_that_cannot_or_does_it_wrong_is_refused(
    artefact: Path, tmp_path: Path, body: str, words: str
) -> None:
    """Not only that the name is there: a key of a known seed is computed."""
    crippled = tmp_path / "agent"
    shutil.copytree(artefact, crippled)
    (crippled / "cryptography/hazmat/primitives/asymmetric/mldsa.py").write_text(
        "from cryptography.exceptions import UnsupportedAlgorithm\n"
        "class Wrong:\n"
        "    def public_key(self): return self\n"
        "    def public_bytes_raw(self): return bytes(1312)\n"
        "class MLDSA44PrivateKey:\n"
        "    @staticmethod\n"
        f"    def from_seed_bytes(_):\n        {body}\n"
    )
    done = run(crippled, "status", "--dir", tmp_path)
    assert done.returncode == 1
    assert words in done.stderr


def test_this_environment_has_it() -> None:
    """The floor holds here."""
    assert floor.missing() == ""


def test_the_same_tree_gives_the_same_files(artefact: Path, tmp_path: Path) -> None:
    """Two builds are alike, and the list of hashes is whole."""
    again = tmp_path / "again"
    build(again)
    sums = (again / "SHA256SUMS").read_text()
    assert sums == (artefact / "SHA256SUMS").read_text()
    listed = {line.split("  ")[1] for line in sums.splitlines()}
    found = {str(p.relative_to(again)) for p in again.rglob("*") if p.is_file()}
    assert found - listed == {"SHA256SUMS"}
    rooms = {p.split("/")[1] for p in listed if p.startswith("answerable/")}
    assert rooms == {"__init__.py", "kernel", "keys", "host", "observe"}
    seen = {p.split("/")[2] for p in listed if p.startswith("answerable/observe/")}
    assert {"verifyd.py", "foot.py"} <= seen
    assert not seen & {"observer.py", "ssh.py", "ways.py"}, "the foot, and not who observes"
