"""Build the agent as a directory that a host runs with its own Python and nothing else of ours.

    python -m scripts.host_artefact DIRECTORY
    python3 -I -S DIRECTORY status --dir /var/lib/answerable

It holds `kernel/`, `keys/` and `host/` of this tree, units of systemd among them, of `observe/`
the foot of observers with what that needs, and the installed wheel of `cryptography` with the one
compiled module of `cffi` that it loads (the distribution's own build lacks ML-DSA). The foot and
the agent import nothing of each other. Each file of a wheel is taken only if it has the hash of the
wheel's RECORD; `SHA256SUMS` lists all files. The same tree and wheels give the same files.

Left out: other machines and Python versions than the one it is built on; signing the result.
"""

import base64
import re
import shutil
import sys
from hashlib import sha256
from importlib.metadata import PackagePath, distribution
from pathlib import Path

ROOMS = ("kernel", "keys", "host")
FOOT = "verifyd"
"""Of `observe/`: what looks at a host, on that host; what it imports comes with it."""
SOURCE = Path(__file__).resolve().parents[1] / "src" / "answerable"
_OWN = re.compile(r"(?m)^ *from answerable\.observe(?:\.(\w+) import| import (\w+))")
_MAIN = """\
import sys

# Also where Python is not asked to be isolated: nothing of this host's own packages is used.
sys.path = [p for p in sys.path if not p.endswith(("site-packages", "dist-packages"))]
sys.dont_write_bytecode = True

if sys.argv[1:2] in (["verifyd"], ["look"]):
    from answerable.observe.verifyd import main
else:
    from answerable.host.__main__ import main

sys.exit(main())
"""


def build(out: Path) -> None:
    """Build into a directory that is not there yet."""
    out.mkdir(parents=True)
    for path in (
        SOURCE / "__init__.py",
        *(p for room in ROOMS for p in (SOURCE / room).rglob("*")),
        SOURCE / "observe" / "__init__.py",
        *_foot(),
    ):
        if path.suffix in (".py", ".service", ".conf"):
            _put(out / "answerable" / path.relative_to(SOURCE), path.read_bytes())
    for file in _files("cryptography"):
        if file.parts[0] == "cryptography" or file.name == "METADATA" or "licenses" in file.parts:
            _take(out, file)
    for file in _files("cffi"):
        if file.name.startswith("_cffi_backend") or "licenses" in file.parts:
            _take(out, file)
    _put(out / "__main__.py", _MAIN.encode())
    files = sorted(p for p in out.rglob("*") if p.is_file())
    sums = (f"{sha256(p.read_bytes()).hexdigest()}  {p.relative_to(out)}\n" for p in files)
    _put(out / "SHA256SUMS", "".join(sums).encode())


def _foot() -> list[Path]:
    names, found = [FOOT], list[Path]()
    while names:
        path = SOURCE / "observe" / f"{names.pop()}.py"
        if path not in found:
            found.append(path)
            names += [a or b for a, b in _OWN.findall(path.read_text("utf-8"))]
    return sorted(found)


def _files(name: str) -> list[PackagePath]:
    found = distribution(name).files
    if found is None:
        raise SystemExit(f"`{name}` is not installed as a wheel; run scripts/bootstrap")
    return [file for file in found if file.suffix != ".pyc"]


def _take(out: Path, file: PackagePath) -> None:
    data = Path(str(file.locate())).read_bytes()
    digest = base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
    if file.hash is None or (file.hash.mode, file.hash.value) != ("sha256", digest):
        raise SystemExit(f"`{file}` is not as its wheel's RECORD says; install it anew")
    _put(out / str(file), data)


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o644)


def main() -> None:
    """Build, replacing what was built there before."""
    out = Path(sys.argv[1])
    if (out / "SHA256SUMS").exists():
        shutil.rmtree(out)
    build(out)
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    print(f"{out}: {size / (1 << 20):.1f} MiB; run it with `python3 -I -S {out} --help`")


if __name__ == "__main__":
    main()
