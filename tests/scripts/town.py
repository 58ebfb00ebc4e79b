"""A town for transcripts: every party founded by real commands, and run as a process of its own.

Two people with keys made by `ssh-keygen`; a log server, four guards, two observers, a control plane
and two hosts' records, on loopback; a `demo` charter whose times are seconds.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import yaml

from answerable.cli.main import main
from answerable.demo import apphosts
from answerable.demo.ports import free_port

GUARDS = ("g1", "g2", "g3", "g4")
PEOPLE = ("dana", "lee")
HOSTS = {"web1": "web", "pci1": "pci"}
PACKAGE, OLD, NEW = "waitress", "3.0.0", "3.0.1"
PATIENCE = 180.0
RULES: dict[str, Any] = {
    "name": "transcript fleet", "mode": "demo", "expires": date(2099, 1, 1), "faults": 1,
    "zones": {
        "*": {"objectors": ["lee"], "approvers": [], "threshold": 1},
        "pci": {"objectors": ["lee"], "approvers": ["dana", "lee"], "threshold": 2},
    },
    "thresholds": dict.fromkeys(
        ("charter", "authorization", "approval", "enrolment", "lift", "release"), 2
    ),
    "feeds": {"app": {"max_age": "30d"}},
    "limits": {
        "window": "4s", "grace": "2s", "validity": "1h", "undo_validity": "1h", "freshness": "30s",
        "soak": "2s", "authorization_delay": "1s", "hosts_day": 500, "hosts_week": 500,
        "hosts_artefact": 500, "approvals": [{"hosts": 500, "people": 2}], "opens": "accepted",
        "emergency": {"people": 2, "window": "2s", "grace": "0s", "hosts": 1, "validity": "10m"},
    },
}  # fmt: skip
AUTHORIZATION: dict[str, Any] = {
    "name": "urgent-security", "owner": "dana", "window": "4s", "max_hosts": 500,
    "clauses": [{
        "name": "urgent", "rings": [1, 3, 500], "validity": "4h",
        "when": {"fact": "urgency", "in": ["high", "critical"]},
    }],
    "excludes": ["pci", "legacy"], "recipients": ["lee"], "review_by": date(2098, 1, 1),
    "undo": {"share_permille": 500}, "ticket": "CHG-1042",
}  # fmt: skip


@dataclass(frozen=True)
class Done:
    """What a command said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:  # noqa: ANN401  decoded JSON
        """Read its data."""
        return json.loads(self.out)


def answerable(*words: object) -> Done:
    """Run one command through its own entry point, in this process, which spares its start."""
    out, err = TextIOWrapper(BytesIO(), "utf-8"), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
    out.seek(0)
    return Done(code, out.read(), err.getvalue())


def program(*words: object) -> Done:
    """Run one command as a process of its own."""
    argv = [sys.executable, "-m", "answerable.cli.main", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    return Done(done.returncode, done.stdout, done.stderr)


def ok(*words: object) -> Done:
    """Run one command that must succeed."""
    done = answerable(*words)
    assert done.code == 0, (words, done)
    return done


def until(what: Callable[[], bool], why: Callable[[], object] = lambda: "") -> None:
    """Wait for a condition."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


@dataclass
class Town:
    """Directories of all parties, and the processes that run."""

    place: Path
    url: dict[str, str] = field(default_factory=dict)
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def log(self) -> str:
        """URL of the log server."""
        return self.url["log"]

    @property
    def charter(self) -> Path:
        """The fleet's charter."""
        return self.place / "charter.note"

    def key(self, person: str) -> Path:
        """A person's SSH key."""
        return self.place / person

    def world(self) -> Sequence[object]:
        """Options that name log and charter."""
        return ("--charter", self.charter, "--log", self.log)

    def found(self) -> None:
        """Make keys, cards and the charter, and give every party the charter."""
        self._ground()
        for person in PEOPLE:
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", person]
            subprocess.run([*make, "-f", str(self.key(person))], check=True, capture_output=True)
        for name in ("log", "control", *GUARDS):
            self.url[name] = f"http://127.0.0.1:{free_port()}"
        cards = [self._init("log", "log", {"renewal": 1})]
        settings = {
            "log": self.log, "control": self.url["control"], "renew": 1, "retry": 1,
            "addresses": {p: {"channel": "file", "at": p} for p in PEOPLE}, "feeds": self.feeds(),
        }  # fmt: skip
        cards += [self._init("guard", name, settings) for name in GUARDS]
        cards += [self._init("observer", name, {"log": self.log}) for name in ("o1", "o2")]
        hosts = {h: {"root": str(self.root(h)), "kind": "python"} for h in HOSTS}
        control = {"log": self.log, "feeds": self.feeds(), "hosts": hosts}
        cards.append(self._init("control", "control", control))
        self._charter(cards)

    def feeds(self) -> dict[str, Any]:
        """Where everybody looks for advisories and wheels."""
        wheels = self.place / "wheels"
        facts = Path(apphosts.__file__).with_name("facts.json")
        return {"app": {"kind": "application", "ecosystem": "pypi", "wheelhouse": str(wheels),
                        "facts": str(facts)}}  # fmt: skip

    def root(self, host: str) -> Path:
        """A host's environment."""
        return self.place / "roots" / host

    def _ground(self) -> None:
        """Give every host an old release whose fix lies among the wheels."""
        (self.place / "wheels").mkdir()
        self.install(PACKAGE, OLD, NEW)

    def install(self, package: str, old: str, new: str) -> None:
        """Put a package's old release on every host, and both releases among the wheels."""
        for version in (old, new):
            wheel = self.place / "wheels" / f"{package}-{version}-py3-none-any.whl"
            wheel.write_bytes(f"{package} {version}".encode())
        for host in HOSTS:
            library = self.root(host) / "lib" / "python3.11" / "site-packages"
            metadata = library / f"{package}-{old}.dist-info" / "METADATA"
            metadata.parent.mkdir(parents=True)
            metadata.write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {old}\n\n")

    def enrol(self) -> None:
        """Make hosts' records, let people enrol them, and tell log server and control plane."""
        records: list[object] = []
        for host, zone in HOSTS.items():
            ok("host", "record", self.place / host, "--name", host, "--zone", zone,
               "--charter", self.charter)  # fmt: skip
            records += ["--record", self.place / host / "record.json"]
        text, note = self.place / "enrol.text", self.place / "enrol.note"
        ok("host", "enrol", *records, "--charter", self.charter, "--out", text)
        words = [*self.sign("enrolment", text), *records, "--charter", self.charter]
        hosts = self.place / "control" / "hosts.json"
        proofs = self.place / "proofs"
        ok("host", "assemble", text, *words, "--out", note, "--hosts", hosts, "--proofs", proofs)
        size = self.size()
        ok("log", "submit", note, "--log", self.log)
        until(lambda: self.size() > size, self.said)
        ok("host", "register", hosts, "--log", self.log)

    def authorize(self, when: Any = None) -> Path:  # noqa: ANN401  a condition
        """Let both people sign the standing authorization; gives the record, not yet handed in.

        Args:
            when: what its clause covers; what is urgent, if not given.
        """
        (clause,) = AUTHORIZATION["clauses"]
        said = {**AUTHORIZATION, "clauses": [{**clause, "when": when or clause["when"]}]}
        written, text, note = (self.place / f"policy.{end}" for end in ("yaml", "text", "note"))
        written.write_text(yaml.safe_dump(said))
        ok("authorization", "draft", written, "--charter", self.charter, "--out", text)
        signed = self.sign("authorization", text)
        more = ["--charter", self.charter, "--out", note]
        ok("authorization", "assemble", text, *signed, *more)
        return note

    def _init(self, kind: str, name: str, settings: dict[str, Any]) -> Path:
        place, url = self.place / name, self.url.get(name, "")
        file = self.place / f"{name}.settings.json"
        file.write_text(json.dumps(settings))
        made = ok(
            "init", kind, place, "--name", f"{name}.example" if kind == "log" else name,
            "--operator", f"{name}-team", "--url", url, "--listen", url.removeprefix("http://"),
            "--settings", file,
        )  # fmt: skip
        card = self.place / f"{name}.card.json"
        card.write_text(made.out)
        return card

    def _charter(self, cards: Sequence[Path]) -> None:
        lines = {p: self.key(p).with_suffix(".pub").read_text().strip() for p in PEOPLE}
        roles = ["approver", "fleet"]
        people = {p: {"keys": [" ".join(lines[p].split()[:2])], "roles": roles} for p in PEOPLE}
        rules, text = self.place / "rules.yaml", self.place / "charter.text"
        rules.write_text(yaml.safe_dump({**RULES, "people": people}))
        named = [word for card in cards for word in ("--card", card)]
        ok("charter", "draft", "--rules", rules, *named, "--out", text)
        signed = self.sign("charter", text)
        ok("charter", "assemble", text, *signed, "--out", self.charter)
        for name in ("log", "control", "o1", "o2", *GUARDS):
            (self.place / name / "charter.note").write_bytes(self.charter.read_bytes())

    def sign(self, kind: str, text: Path, *people: str) -> list[str]:
        """Let people sign a text with `ssh-keygen`; gives the options that name signatures."""
        words = []
        for person in people or PEOPLE:
            copy = self.place / f"{text.name}.{person}"
            copy.write_bytes(text.read_bytes())
            copy.with_name(copy.name + ".sig").unlink(missing_ok=True)
            namespace = f"answerable/{kind}/v1"
            argv = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(self.key(person)), "-n", namespace]
            subprocess.run([*argv, str(copy)], check=True, capture_output=True)
            words += ["--signature", f"{person}={copy}.sig"]
        return words

    def start(self, name: str, *words: object) -> None:
        """Start a party's server."""
        argv = [sys.executable, "-m", "answerable.cli.main", *map(str, words)]
        with (self.place / f"{name}.out").open("ab") as out:
            env = {**os.environ, "PYTHONUNBUFFERED": "1"}
            self.running[name] = subprocess.Popen(argv, stdout=out, stderr=out, env=env)

    def start_log_and_guards(self) -> None:
        """Start them, and wait for the first head that a quorum cosigned."""
        self.start("log", "log", "serve", self.place / "log")
        for name in GUARDS:
            self.start(name, "guard", "run", self.place / name)
        until(lambda: self.size() == 1, self.said)

    def halt(self, name: str) -> None:
        """End one party's server."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(20)

    def size(self) -> int:
        """How far the authority log is cosigned; -1 if it is not."""
        done = answerable("log", "head", *self.world(), "--output", "json")
        rows = done.json() if done.code == 0 else []
        return next((row["size"] for row in rows if row["log"] == "authority"), -1)

    def said(self) -> str:
        """What the servers wrote."""
        return "\n".join(
            f"{name}: {(self.place / f'{name}.out').read_text()[-2000:]}" for name in self.running
        )

    def stop(self) -> None:
        """End what was started, hosts first."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
