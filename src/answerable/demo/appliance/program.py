"""The service: `program.py CONFIG` answers /health and /version over HTTP until it is ended.

At start it imports what it needs and, if it is pinned, compares the installed version of a library
with the one it was built for, by dpkg's own word; if that does not fit, it says so and ends with 3.
Standard library only, so that it runs on a host as it is. Left out: everything a real one does.
"""

import http.server
import importlib
import importlib.metadata
import json
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

REFUSES = 3
CONFIG_LIMIT = 65_536
_DPKG = ["/usr/bin/dpkg-query", "--show", "--showformat=${Version}"]


def installed(package: str) -> str:
    """Give the installed version of a Debian package, or nothing."""
    done = subprocess.run([*_DPKG, package], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def misfits(pinned: dict[str, str]) -> list[str]:
    """Give one line for each library that is newer than the one this was built for."""
    lines = []
    for package, built_for in pinned.items():
        found = installed(package)
        argv = ["/usr/bin/dpkg", "--compare-versions", found, "gt", built_for]
        if subprocess.run(argv, check=False).returncode == 0:
            lines.append(f"built for {package} {built_for}, found {found}")
    return lines


def load(names: list[str]) -> dict[str, str]:
    """Import `module` or `module:name`; give the version of each module's distribution."""
    versions = {}
    for name in names:
        module, _, attribute = name.partition(":")
        loaded = importlib.import_module(module)
        if attribute:
            getattr(loaded, attribute)
        top = module.partition(".")[0]
        versions[top] = importlib.metadata.version(top)
    return versions


def serve(config: dict[str, Any], answer: dict[str, object]) -> None:
    """Answer /health with `ok`, and /version with what this process runs on."""
    pages = {"/health": b"ok\n", "/version": json.dumps(answer, sort_keys=True).encode() + b"\n"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            self.send_response(200 if page else 404)
            self.send_header("content-length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *_: object) -> None:
            return

    http.server.ThreadingHTTPServer((config["address"], config["port"]), Handler).serve_forever()


def main() -> int:
    """Check, load, serve."""
    with Path(sys.argv[1]).open("rb") as file:
        config = json.loads(file.read(CONFIG_LIMIT))
    wrong = misfits(config["pinned"])
    try:
        versions = load(config["imports"])
    except (ImportError, AttributeError) as error:
        wrong.append(str(error))
    if wrong:
        sys.stderr.write(f"appliance: refuses to start: {'; '.join(wrong)}\n")
        return REFUSES
    packages = {name: installed(name) for name in config["packages"]}
    serve(config, {"openssl": ssl.OPENSSL_VERSION, "packages": packages, "python": versions})
    return 0


if __name__ == "__main__":
    sys.exit(main())
