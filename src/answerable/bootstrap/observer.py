"""`answerable observe run`: one observer, with its key and its own way onto hosts.

Settings of the party:

    {"log":"http://log.example","control":"http://control.example","poll":1,
     "artefacts":["https://packages.example/by-hash"],
     "reconcile":300,"images":{"registry":"/srv/images"},
     "hosts":{"web1":{"root":"/hosts/web1","kind":"dpkg","health":"http://10.0.0.1:8080/health",
                      "record":"<record text>","enrolment":"<id>","place":0,"path":["<hex>",..]}}}

`kind` is `dpkg`, `rpm` or `python`, or `ssh` with an ssh_config(5) file as `root` that leads to the
host's foot; `health` may be empty, `poll` is seconds. A host whose disk is mounted here may have
`proc`, a `/proc` that shows its programs (a container's, as root or with CAP_SYS_PTRACE). A package
is fetched as `<url>/<sha256>` from each of `artefacts`, then from the control plane; its bytes must
have that hash, whoever gives them.
Every `reconcile` seconds what is installed, and which container images lie on the host, is held
against the records of changes; so are `images`, name -> an OCI image layout or a file of lines
`name sha256:<hex>`. Hosts may also stand in a file of their own, `hosts_file`, a JSON object of the
same form, which is read at start.
"""

import json
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from answerable.bootstrap.serve import boot_clock, clock, http_client
from answerable.config import NotConfigured, Party, read_bytes
from answerable.kernel.canon import Json, conforms
from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.verify import Enrolled
from answerable.keys.store import load_key
from answerable.ledger.client import HttpSource, submit
from answerable.observe.artefacts import Artefacts
from answerable.observe.look import KINDS, Place
from answerable.observe.memory import Memory
from answerable.observe.observer import BOOKS, ROUNDS, Observer, Ports, Rounds, Watched
from answerable.observe.plans import Planned, fetch
from answerable.observe.reconcile import Books, Unexplained, images
from answerable.observe.ways import files, look, posture
from answerable.observe.ways import images as held

SECONDS = 5.0
"""How long a health answer may take, seconds."""
HOSTS = 256 << 20
"""Largest file of hosts, bytes."""
_HOST = {"root": "text", "kind": KINDS, "health": "text", "record": "text", "enrolment": "hex",
         "place": "int", "path": ["hex"]}  # fmt: skip


def watched(settings: Mapping[str, Any]) -> dict[str, Watched]:
    """Read the hosts of an observer's settings.

    Raises:
        NotConfigured: naming the first that is none.
    """
    given = settings.get("hosts", {})
    if "hosts_file" in settings:
        given = json.loads(read_bytes(Path(settings["hosts_file"]), HOSTS))
    found = {}
    for name, row in given.items():
        host = {what: value for what, value in row.items() if what != "proc"}
        proc = row.get("proc", "")
        if not conforms(host, _HOST) or not isinstance(proc, str):
            raise NotConfigured(f"host `{name}`: needs exactly {', '.join(_HOST)}")
        path = [bytes.fromhex(step) for step in host["path"]]
        enrolled = Enrolled(host["record"], host["enrolment"], host["place"], path)
        seen = Path(proc) if proc else None
        place = Place(Path(host["root"]), host["kind"], host["health"], seen)
        found[name] = Watched(place, enrolled)
    return found


def make_observer(party: Party, client: httpx.Client, probing: httpx.Client) -> Observer:
    """Put an observer together.

    Raises:
        Refused, Unavailable: if charter, key or settings cannot be used.
    """
    settings = party.settings
    for name in ("log", "control"):
        if not isinstance(settings.get(name), str):
            raise NotConfigured(f"an observer's settings need `{name}`, a URL")
    log, control = (str(settings[name]).rstrip("/") for name in ("log", "control"))

    def plans(leaf: str, notice: Json) -> list[Planned]:
        guards = observer.authority.law.body["guards"].values()
        pages = [f"{guard['url'].rstrip('/')}/notices/{leaf}/plan" for guard in guards]
        return fetch(client, [f"{control}/plans/{notice['plan']}", *pages], notice)

    urls = [*map(str, settings.get("artefacts", [])), f"{control}/artefacts"]
    artefacts = Artefacts(party.directory / "shipped", client, urls, boot_clock)
    ports = Ports(
        authority=HttpSource(client, f"{log}/authority"),
        report=HttpSource(client, f"{log}/report"),
        plans=plans,
        look=lambda place: look(place, probing),
        submit=lambda name, entry: submit(client, f"{log}/{name}", [entry]),
        clock=clock,
        posture=posture,
        files=lambda place, wanted: files(place, wanted, artefacts),
        images=images,
        held=held,
    )
    memory = Memory.load(party.directory / "observer.json")
    signer = load_key(party.key("observer"))
    given = {str(name): Path(place) for name, place in settings.get("images", {}).items()}
    rounds = Rounds(int(settings.get("reconcile", ROUNDS.every)), given)
    observer = Observer(ports, signer, party.charter(), watched(settings), memory, rounds)
    return observer


def unexplained(party: Party) -> dict[str, tuple[int, list[Unexplained]]]:
    """Give, by host, when this observer last reconciled it, and what no change explains there."""
    return Books(party.directory / BOOKS).all()


def run_observer(party: Party, tell: Callable[[str], None] = lambda _: None) -> None:
    """Look around every `poll` seconds until a signal ends it; `tell` is given what is in the way.

    Raises:
        Refused, Unavailable: if charter, key or settings cannot be used to begin with.
    """
    done, told = threading.Event(), set[str]()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with http_client() as client, http_client(SECONDS) as probing:
        observer = make_observer(party, client, probing)
        while not done.is_set():
            try:
                observer.look_around()
                trouble = set(observer.trouble)
            except (Refused, Unavailable) as error:
                # A log that contradicts itself once must not silence those who would tell of it.
                trouble = {str(error)}
            for line in sorted(trouble - told):
                tell(line)
            told = trouble
            done.wait(float(party.settings.get("poll", 1)))
