"""`answerable serve`: plans, bundles, artefacts and candidates as files, and durable rollouts.

| path | gives |
|---|---|
| `/plans/<digest>` | a plan document |
| `/bundles/<host>` | JSON list of the digests of a host's bundles |
| `/bundle/<digest>` | a bundle |
| `/artefacts/<sha256>` | the bytes of an artefact |
| `/candidates/<sha256>` | a proposed snapshot |
| `/effects/<sha256>` | a list of what an upgrade does to files |
| `/inventory` | takes what a host says of itself (inbox.py) |

All of it is public and believed by nobody: whoever fetches checks hashes and proofs. The rollouts
read the logs again before each step; this process may be killed at any moment.
"""

import re
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from answerable.bootstrap.inbox import inbox_route
from answerable.bootstrap.planning import Planning
from answerable.bootstrap.serve import boot_clock, chores, clock, http_client, serve
from answerable.config import Party
from answerable.kernel.errors import Unavailable
from answerable.ledger.client import submit
from answerable.rollout.bundles import Bundles
from answerable.rollout.decide import Pace
from answerable.rollout.engine import DbosEngine
from answerable.rollout.logs import LogView
from answerable.rollout.pull import PullExecutor
from answerable.rollout.record import LogRecorder
from answerable.rollout.steps import HostSteps
from answerable.rollout.workflow import Ports, Rollouts

_DIGEST = re.compile(r"[0-9a-f]{64}")
EVERY = 1.0
"""Seconds between two looks for new notices and news of old ones."""


class Control:
    """One control plane's parts, joined."""

    def __init__(self, party: Party) -> None:
        """Open its directory and engine; raises `Unavailable` if either is not usable."""
        self.party, self.planning = party, Planning(party, http_client())
        planning, logs = self.planning, self.planning.logs
        self.view = LogView(logs.authority, logs.said, planning.plan_bytes)
        bundles = Bundles(logs.authority, planning.plan_bytes, planning.snapshot)
        self.executor = PullExecutor(party.directory / "bundles", bundles)
        recorder = LogRecorder(
            planning.planner,
            lambda: (logs.state.fleet, logs.law),
            lambda entry: submit(planning.client, f"{planning.log}/report", [entry]),
        )
        steps = HostSteps(party.directory / "steps.db")
        self.engine = DbosEngine(party.directory / "engine", clock, boot_clock)
        pace = Pace(**party.settings.get("pace", {}))
        ports = Ports(self.view, self.executor, recorder, steps)
        self.rollouts = Rollouts(self.engine, ports, clock, pace)

    def look(self) -> None:
        """Start what should be under way and wake what may have news."""
        try:
            self.rollouts.resume()
            logs = self.planning.logs
            for notice in self.view.open_notices():
                self.rollouts.wake(notice, f"{logs.state.tree.size}.{len(logs.reports)}")
        except Unavailable:
            return  # the next look tries again; every rollout reads the logs for itself

    def app(self) -> Starlette:
        """Give the files over HTTP."""
        folder = self.party.directory
        routes = [
            Route(f"/{name}/{{digest}}", _files(folder / name), methods=["GET"])
            for name in ("plans", "artefacts", "candidates", "effects")
        ]

        def bundles(request: Request) -> Response:
            listed = self.executor.listed(request.path_params["host"])
            return Response(listed, media_type="application/json")

        def one(request: Request) -> Response:
            data = self.executor.read(request.path_params["digest"])
            return Response(data) if data is not None else _MISSING

        routes += [
            Route("/bundles/{host}", bundles, methods=["GET"]),
            Route("/bundle/{digest}", one, methods=["GET"]),
            inbox_route(self.planning.inbox, self.planning.heard, clock),
        ]
        return Starlette(routes=routes)


_MISSING = PlainTextResponse("there is no such file\n", 404)


def _files(folder: Path) -> Callable[[Request], Response]:
    def get(request: Request) -> Response:
        digest = request.path_params["digest"]
        place = folder / digest
        if not _DIGEST.fullmatch(digest) or not place.is_file():
            return _MISSING
        return FileResponse(place, media_type="application/octet-stream")

    return get


def run_control(party: Party) -> None:
    """Serve and roll out until a signal ends it."""
    control = Control(party)
    control.engine.launch()
    try:
        with chores(control.look, EVERY, "rollouts"):
            serve(control.app(), party.address)
    finally:
        control.engine.close()
