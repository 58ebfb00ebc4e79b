"""A small service of our own with data, as packages: its script migrates what the service holds.

`build` gives the versions 1 and 2, and what `SCRIPTS` names. Scripts run on throw-away hosts only.
"""

import hashlib
import subprocess
from pathlib import Path

from answerable.demo import vendor
from answerable.host.driver import Package

NAME = "demo-store"
DATA = f"var/lib/{NAME}/data"
SERVE = f"""\
import http.server, os, pathlib, socket, threading
os.makedirs("/run/{NAME}")
asked = socket.socket(socket.AF_UNIX)
asked.bind("/run/{NAME}/socket")
asked.listen()
def answer():
    while True:
        asked.accept()[0].send(b"yes")
threading.Thread(target=answer, daemon=True).start()
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = pathlib.Path("/{DATA}").read_bytes()
        self.send_response(200); self.end_headers(); self.wfile.write(said)
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", 8090), Answer).serve_forever()
"""
ASK = f"""
import socket
service = socket.socket(socket.AF_UNIX)
service.connect("/run/{NAME}/socket")
open("/var/lib/{NAME}/index/said", "wb").write(service.recv(9))
try:
    open("/run/{NAME}/more", "w")
except OSError as error:
    print("as it should be:", error)
else:
    raise SystemExit("the folder of sockets can be written")
"""
MIGRATE = f"""
if [ "$1" = configure ] && grep -q 'format 1' /{DATA}; then
    sed -i 's/format 1/format 2/' /{DATA}
    mkdir -p /var/lib/{NAME}/index; echo made >/var/lib/{NAME}/index/one
    echo migrated >>/var/log/{NAME}.log
    if [ -S /run/{NAME}/socket ]; then python3 -c '{ASK}'; fi
fi
"""
TRIED = f"var/lib/{NAME}/index/tried"
TRY = f"""
import ctypes, errno, os, struct
os.chdir("/var/lib/{NAME}/index")
libc, size = ctypes.CDLL(None, use_errno=True), 8192
how = ctypes.create_string_buffer(struct.pack("QQQ", os.O_CREAT | os.O_WRONLY, 0o4755, 0))
shown = open("own", "w")
def call(*words):
    ctypes.set_errno(0)
    if libc.syscall(*map(ctypes.c_long, words)) < 0:
        raise OSError(ctypes.get_errno(), "")
def nameless():
    made = os.open(".", os.O_TMPFILE | os.O_WRONLY, 0o4755)
    os.link(f"/proc/self/fd/{{made}}", "tmpfile", follow_symlinks=True)
def user():
    if libc.unshare(0x10000000):
        raise OSError(ctypes.get_errno(), "")
ways = {{
    "chmod": lambda: os.chmod("own", 0o4755), "fchmod": lambda: os.fchmod(shown.fileno(), 0o2755),
    "fchmodat": lambda: os.chmod("own", 0o4755, dir_fd=os.open(".", os.O_RDONLY)),
    "fchmodat2": lambda: call(452, -100, ctypes.addressof(name), 0o4755, 0),
    "open": lambda: os.open("made", os.O_CREAT | os.O_WRONLY, 0o4755), "tmpfile": nameless,
    "openat2": lambda: call(437, -100, ctypes.addressof(path), ctypes.addressof(how), 24),
    "mknod": lambda: os.mknod("node", 0o104755), "user": user,
    "io_uring": lambda: call(425, 4, ctypes.addressof(room)),
}}
name, path, room = (ctypes.create_string_buffer(text, size) for text in (b"own", b"at2", b""))
with open("tried", "w") as told:
    for way, do in ways.items():
        try:
            do()
            print(way, "done", file=told)
        except OSError as error:
            print(way, errno.errorcode[error.errno], file=told)
"""
"""Every way to a setuid file that is known; what came of each is in the file `TRIED`."""
_ON_THE_HOST = f"grep -q ' /var/lib/{NAME} ' /proc/self/mountinfo"
_ACTS = "".join(f"({act}) || true\n" for act in vendor.ACTS.values())
SCRIPTS = {
    # It waits until it is on the host itself: a rehearsal sees nothing of it.
    "hostile": f"{MIGRATE}\nif {_ON_THE_HOST}; then\n{_ACTS}\nrm -rf /var/lib/{NAME}/index; fi\n",
    "setuid": f"{MIGRATE}\nif {_ON_THE_HOST}; then python3 -c '{TRY}'; fi\n",
    "loud": f"{MIGRATE}\nif {_ON_THE_HOST}; then yes noise | head -c 99999999; echo loud;"
    "exit 1; fi\n",
    "odd": f"{MIGRATE}\nif {_ON_THE_HOST}; then mkfifo /var/lib/{NAME}/pipe; mkdir"
    f" /var/lib/{NAME}/.ssh; echo key >/var/lib/{NAME}/.ssh/authorized_keys; fi\n",
    "failing": f"{MIGRATE}\nif {_ON_THE_HOST}; then exit 1; fi\n",
    "endless": f"{MIGRATE}\nif {_ON_THE_HOST}; then echo half >/{DATA}; sleep 600; fi\n",
    "away": f"{MIGRATE}\necho x >/etc/{NAME}-more\n",
}
"""What versions besides do after they have migrated; each is a version `2.<name>`."""


def build(folder: Path) -> dict[str, tuple[Package, Path]]:
    """Build every version."""
    made = {"1": _build(folder, "1", ""), "2": _build(folder, "2", MIGRATE)}
    return made | {name: _build(folder, f"2.{name}", text) for name, text in SCRIPTS.items()}


def _build(folder: Path, version: str, script: str) -> tuple[Package, Path]:
    root = folder / f"{NAME}-{version}"
    for folder_of_it in ("DEBIAN", f"usr/share/{NAME}", f"var/lib/{NAME}"):
        (root / folder_of_it).mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: {NAME}\nVersion: {version}\nArchitecture: all\n"
        "Maintainer: Test <test@example.invalid>\nDescription: made by a test\n"
    )
    (root / f"usr/share/{NAME}/version").write_text(version)
    if script:
        (root / "DEBIAN/postinst").write_text(f"#!/bin/sh\nset -e\n{script}")
        (root / "DEBIAN/postinst").chmod(0o755)
    for inner in [p for p in root.rglob("*") if p.is_dir()]:
        inner.chmod(0o755)
    deb = folder / f"{root.name}.deb"
    argv = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(deb)]
    subprocess.run(argv, check=True, capture_output=True)
    before = "" if version == "1" else "1"
    return Package(NAME, before, version, hashlib.sha256(deb.read_bytes()).hexdigest()), deb
