"""The ways onto hosts: a disk or environment that is mounted here, ssh to the foot, its service.

A service answers if its URL gives status 200 within the client's time.
"""

from collections.abc import Mapping

import httpx

from answerable.observe import runtime, ssh
from answerable.observe.artefacts import Artefacts
from answerable.observe.containers import Held, held
from answerable.observe.files import Compared, compare, debian, environment
from answerable.observe.look import KINDS, Place, Sight, dpkg, python
from answerable.observe.posture import Posture
from answerable.observe.posture import posture as of_disk
from answerable.observe.rpmdb import redhat, rpm

_WAYS = {"dpkg": (dpkg, debian), "rpm": (rpm, redhat), "python": (python, environment)}
ANSWER = 65_536
"""How much of a health answer is read, bytes."""


def look(place: Place, client: httpx.Client) -> Sight:
    """Look at a host once.

    Raises:
        Unseen: if it cannot be looked at.
    """
    assert place.kind in KINDS, f"`{place.kind}` is none of {KINDS}"
    if place.kind == "ssh":
        found, stale = ssh.versions(place.root)
    else:
        found = _WAYS[place.kind][0](place.root)
        stale = runtime.stale(place.proc, place.root) if place.proc else []
    return Sight(found, probe(client, place.health) if place.health else "", stale)


def posture(place: Place) -> Posture | None:
    """Take a host's posture; None for a Python environment, which has none.

    Raises:
        Unseen: if it cannot be looked at.
    """
    if place.kind == "python":
        return None
    return ssh.posture(place.root) if place.kind == "ssh" else of_disk(place.root)


def images(place: Place) -> Held:
    """Give the container images that lie on a host; none of a Python environment.

    Raises:
        Unseen: if it cannot be looked at.
    """
    if place.kind == "python":
        return {}
    return ssh.images(place.root) if place.kind == "ssh" else held(place.root)


def files(place: Place, wanted: Mapping[str, str], artefacts: Artefacts) -> Compared:
    """Compare packages' files on a host with what the packages ship.

    Args:
        wanted: package -> SHA-256 of the artefact that it should be.

    Raises:
        Unseen: if the host cannot be looked at.
        CannotRead: if a package cannot be had or read, so that nothing was compared.
    """
    shipped = artefacts.shipped(wanted)
    if place.kind == "ssh":
        return compare(shipped, ssh.files(place.root, wanted))
    return compare(shipped, _WAYS[place.kind][1](place.root, wanted))


def probe(client: httpx.Client, url: str) -> str:
    """Ask a service whether it is well; give why not, or nothing."""
    size = 0
    try:
        with client.stream("GET", url) as answer:
            for part in answer.iter_raw():
                size += len(part)
                if size > ANSWER:
                    return f"`{url}` sends over {ANSWER} bytes"
            ok = answer.status_code == httpx.codes.OK
            return "" if ok else f"`{url}` answers {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"`{url}` does not answer: {type(error).__name__}"
