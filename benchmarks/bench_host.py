"""The host: one verdict, following the log, memory, and time from start to the first verdict.

    python -m benchmarks.bench_host [--quick]

* `verify`: CPU time of this thread (the machine is shared), the state folded, the bundle and the
  guards' answers as bytes, as many answers as the agent waits for (a quorum). *Cold*: nothing is
  remembered but keys, as after the agent's start. *Next*: nothing of the order is, but one under
  the same authorization was looked at before. *Again*: the same order with new answers of the
  guards, as at the second and third time that the agent asks about one action, which decide.
  *Bare* is the floor of each: its signatures, Ed25519 and ML-DSA-44, checked and nothing else.
* following: records signed by heralds and observers, each opened and folded, from static files of
  another process over loopback HTTP, saved with fsync; by the clock, and by this thread's CPU time
  beside how many bare Ed25519 signatures it checks in that; the same at a tenth of the size.
* split (as root): agentd, applyd and verifyd as processes, PSS of each and together after the first
  look; CPU time of all three while nothing is to do, by the kernel's count (ticks of 10 ms) over
  `IDLE_SECONDS`, at the default `poll`; a question through agentd beside the same without it.
* memory and start: a process of its own, `python -m answerable.host`, against guards and log on
  loopback; PSS from /proc after its first look; start from the call to the last byte of `apply`.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from struct import pack
from typing import Any

from answerable.host.__main__ import collect_rarely
from answerable.host.log.follow import SPAN, Follower, tile_path
from answerable.host.log.state import LogState
from answerable.host.network.client import Client
from answerable.host.network.through import Through
from answerable.host.settings import POLL
from answerable.kernel import verify as kernel
from answerable.kernel.canon import decode, encode
from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import CHECKPOINT, Checkpoint, cosignature_message
from answerable.kernel.fresh import SIZE
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.note import ED25519, Note, signature_holds
from answerable.kernel.order import read_bundle
from answerable.kernel.verify import Permit, verify
from answerable.rollout.bundles import least
from tests.fakes.carrier import split as in_two
from tests.fakes.fake_driver import FakeDriver, FakeServices
from tests.fakes.host_world import serving
from tests.host.conftest import Site
from tests.simulator import GUARDS, Order, Simulator
from tests.simulator.keys import signer
from tests.simulator.log import cosigned_note

GOALS = {"verify_p99_ms": 2.0, "follow_per_second": 5_000, "pss_mb": 30, "start_seconds": 0.4,
         "split_pss_mb": 70, "idle_cpu_percent": 0.5}  # fmt: skip
# As any web server, without the pauses that http.server makes between headers and body.
SERVER = """
import functools, http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, 1 << 20
    def log_message(self, *_): pass
handler = functools.partial(Handler, directory=sys.argv[1])
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
"""
RUNS = 5
STAGES = ("cold", "next", "again")
IDLE_SECONDS = 120
AGENT = (sys.executable, "-m", "answerable.host")
FOOT = (sys.executable, "-c",
        "import sys; from answerable.observe.verifyd import main; sys.exit(main())")  # fmt: skip
Row = dict[str, Any]


# --- one verdict ----------------------------------------------------------------------------------


def percentiles(took: list[float]) -> Row:
    """Give median and 99th percentile in milliseconds."""
    took.sort()
    return {"p50_ms": took[len(took) // 2] * 1e3, "p99_ms": took[int(len(took) * 0.99)] * 1e3}


def verdicts(count: int) -> Row:
    """Give the medians of several runs of `one_verdict`, as every row of the table does."""
    runs = [one_verdict(count) for _ in range(RUNS)]
    return runs[0] | {"runs": RUNS} | {
        how: {name: statistics.median(run[how][name] for run in runs) for name in runs[0][how]}
        for how in (*STAGES, *(f"{stage}_bare" for stage in STAGES))
    }  # fmt: skip


def one_verdict(count: int) -> Row:
    """Time `verify` over orders that are permitted, with the agent's own settings."""
    collect_rarely()
    sim = Simulator(charter=_roomy)
    orders: list[Order] = []
    for _ in range(count):
        orders.append(sim.play(rings=(("web1",),)))
        sim.now -= 2_000 - 60
    sim.now += 2_000
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}
    bare: dict[str, list[float]] = {stage: [] for stage in STAGES}
    law = sim.state.law()
    granted = least(sim.authorized, law)
    for order in (orders * (200 // count + 1))[:200]:
        told = least(order.checkpoint, law)
        bundle = sim.bundle(order, checkpoint=told, authorization_checkpoint=granted)
        for how, new in (*zip(STAGES, ([told, granted], [told], []), strict=True), ("again", [])):
            host = sim.host(order)
            fresh = host.freshness
            host = host._replace(freshness=fresh._replace(replies=fresh.replies[: law.quorum]))
            if how != "again":
                forget()
            if how == "next":
                kernel._cosigned(granted, law)  # noqa: SLF001  its memory
            begun = time.thread_time()
            verdict = verify(bundle, "up", sim.state, host, sim.boot())
            times[how].append(time.thread_time() - begun)
            assert isinstance(verdict, Permit), verdict
            notes = [decode(reply, SIZE)["checkpoint"] for reply in host.freshness.replies]
            bare[how].append(bare_signatures([*notes, *new], law))
    return {
        "bundle_bytes": len(bundle), "notices": len(sim.state.notices), "orders": count,
        **{how: percentiles(took) for how, took in times.items()},
        **{f"{how}_bare": percentiles(took) for how, took in bare.items()},
    }  # fmt: skip


def forget() -> None:
    """Let the kernel meet everything of an order for the first time."""
    for kept in (signature_holds, read_bundle, kernel._cosigned):  # noqa: SLF001  its memory
        kept.cache_clear()


def bare_signatures(notes: Sequence[str], law: Charter) -> float:
    """Time the signatures of these notes that a host checks, and nothing else."""
    pairs = [*law.guards["witness"].values(), *law.guards["post"].values()]
    known = {(key.name, key.id): key for pair in pairs for key in pair}
    signed = []
    for note in notes:
        text = note.rpartition("\n\n")[0].encode() + b"\n"
        for name, number, payload in Note(note.encode(), CHECKPOINT).lines:
            key, at = known[name, number], int.from_bytes(payload[:8], "big")
            message = cosignature_message(key.kind, key.name, at, text)
            signed.append((key.kind, key.public, payload[8:], message))
    begun = time.thread_time()
    assert all(signature_holds.__wrapped__(*one) for one in signed)
    return time.thread_time() - begun


def _roomy(body: Row) -> None:
    body["limits"] |= {
        "hosts_day": 1 << 30, "hosts_week": 1 << 30, "hosts_artefact": 1 << 30, "approvals": [],
    }  # fmt: skip


# --- following ------------------------------------------------------------------------------------


def written(sim: Simulator, folder: Path) -> None:
    """Write the log as static files: checkpoint, tiles, bundles."""
    entries = [entry for logged, entry in sim.history if logged]
    for number in range((len(entries) + SPAN - 1) // SPAN):
        rows = entries[number * SPAN : number * SPAN + SPAN]
        partial = "" if len(rows) == SPAN else f".p/{len(rows)}"
        for level, data in (
            ("0", b"".join(map(leaf_hash, rows))),
            ("entries", b"".join(pack(">H", len(row)) + row for row in rows)),
        ):
            path = folder / f"{tile_path(level, number)}{partial}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    tree = sim.state.tree
    at = Checkpoint(sim.origin, tree.size, tree.root())
    note = cosigned_note(at, "witness", dict.fromkeys(GUARDS, sim.now), log=sim.origin)
    (folder / "checkpoint").write_bytes(note)


@contextmanager
def files_served(folder: Path) -> Iterator[str]:
    """Serve a folder from a process of its own."""
    words = [sys.executable, "-I", "-c", SERVER, str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.terminate()


def followed(count: int) -> Row:
    """Follow so many signed records from nothing."""
    sim = Simulator()
    order = sim.play()
    plan = sim.state.notices[order.notice]["body"]["plan"]
    for number in range(count):
        if number % 2:
            body = {"notice": order.notice, "plan": plan, "person": "lee", "channel": "mail",
                    "status": "accepted", "time": number}  # fmt: skip
            sim.tell("delivery", body, GUARDS[number % 4])
        else:
            body = {"notice": order.notice, "ring": 1, "since": 1, "until": number, "seen": []}
            sim.tell("advance", body, "o1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "log").mkdir()
        written(sim, folder / "log")
        with files_served(folder / "log") as url:
            kept = LogState(folder / "kept", sim.fleet)
            follower = Follower(Client(), kept, sim.history[0][1], time.monotonic, url, {})
            begun, cpu = time.perf_counter(), time.thread_time()
            follower.follow()
            took, cpu = time.perf_counter() - begun, time.thread_time() - cpu
        assert kept.state.digest() == sim.state.digest()
    size = kept.state.tree.size
    rates = {"per_second": size / took, "per_cpu_second": size / cpu}
    return {"records": size, **rates, "bytes_each": _mean(sim)}


def _mean(sim: Simulator) -> int:
    return int(statistics.mean(len(entry) for _, entry in sim.history))


def signatures() -> float:
    """Give how many Ed25519 signatures this thread checks in a second of CPU."""
    one, texts = signer("bench"), [b"%600d" % number for number in range(2_000)]
    signed = [(one.sign_raw(text), text) for text in texts]
    begun = time.thread_time()
    for signature, text in signed:
        assert signature_holds.__wrapped__(ED25519, one.key.public, signature, text)
    return len(signed) / (time.thread_time() - begun)


# --- a process ------------------------------------------------------------------------------------


def a_process(runs: int) -> Row:
    """Start the agent's own program against a served world; its bundle waits for its window."""
    with tempfile.TemporaryDirectory() as name, serving() as world:
        tool = Path(name) / "tool"
        site = Site(world, Path(name) / "agent", FakeDriver(tool), FakeServices(tool))
        site.enrol()
        world.hand_out(world.sim.play(wait=10))
        words = [sys.executable, "-m", "answerable.host"]
        took = sorted(_timed([*words, "apply", "--dir", str(site.place)]) for _ in range(runs))
        (site.place / "status.json").unlink()
        with subprocess.Popen(
            [*words, "run", "--dir", str(site.place)], stderr=subprocess.DEVNULL
        ) as agent:
            _until((site.place / "status.json").exists)
            memory = _memory(agent.pid)
            agent.terminate()
    return {"start_seconds": took[len(took) // 2], "runs": runs, **memory}


def split(seconds: int, questions: int) -> Row:
    """Start all three of a host, enrolled and with nothing to do."""
    with tempfile.TemporaryDirectory() as name, serving() as world, ExitStack() as stack:
        folder, tool = Path(name), Path(name) / "tool"
        site = Site(world, folder / "agent", FakeDriver(tool), FakeServices(tool))
        site.enrol()
        in_two(site.place, folder / "s")
        settings = json.loads((site.place / "settings.json").read_text())
        (site.place / "settings.json").write_text(encode({**settings, "poll": POLL}))
        peers, uid = [world.url], os.getuid()
        (folder / "agentd.json").write_text(
            encode({"allow": uid, "peers": peers, "socket": str(folder / "s")})
        )
        verifyd = {"allow": ["root"], "key": str(folder / "key"), "name": "web1.foot"}
        (folder / "verifyd.json").write_text(encode({**verifyd, "socket": str(folder / "v")}))
        words = {
            "agentd": [*AGENT, "agentd", str(folder / "agentd.json")],
            "applyd": [*AGENT, "run", "--dir", str(site.place)],
            "verifyd": [*FOOT, "verifyd", str(folder / "verifyd.json")],
        }
        pids = {}
        for role, argv in words.items():
            process = stack.enter_context(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
            stack.callback(process.terminate)
            pids[role] = process.pid
            _until((folder / {"agentd": "s", "applyd": "agent/status.json"}.get(role, "v")).exists)
        memory = {role: _memory(pid)["pss_mb"] for role, pid in pids.items()}
        before = {role: _spent(pid) for role, pid in pids.items()}
        time.sleep(seconds)
        idle = {role: (_spent(pid) - before[role]) / seconds for role, pid in pids.items()}
        ways = {"direct_ms": Client(), "through_ms": Through(folder / "s", str(uid))}
        asked = {way: _asked(client, world.url, questions) for way, client in ways.items()}
    return {
        "pss_mb": memory, "pss_mb_together": sum(memory.values()), "idle_seconds": seconds,
        "idle_cpu_percent": {role: share * 100 for role, share in idle.items()}, **asked,
    }  # fmt: skip


def _asked(client: Client, url: str, questions: int) -> float:
    took = []
    for _ in range(questions):
        begun = time.perf_counter()
        client.get(f"{url}/log/authority/checkpoint", 1 << 18)
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1e3


def _spent(pid: int) -> float:
    # Seconds of CPU of all threads that are there, and of those that have ended.
    text = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")


def _timed(words: list[str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begun
    assert "window_open" in done.stdout, done
    return took


def _until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.01)


def _memory(pid: int) -> Row:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {row.split(":")[0]: int(row.split()[1]) for row in rows}
    others = sum(_is_python(path) for path in Path("/proc").glob("[0-9]*/comm")) - 2
    named = {"pss_mb": "Pss", "rss_mb": "Rss", "private_mb": "Private_Dirty"}
    return {name: sizes[key] / 1024 for name, key in named.items()} | {"other_pythons": others}


def _is_python(comm: Path) -> bool:
    try:
        return comm.read_text().startswith("python")
    except OSError:
        return False


def run(*, quick: bool) -> Row:
    """Measure everything; prints a table."""
    rows: Row = {
        "algorithms": "Ed25519 and ML-DSA-44 of every guard; records Ed25519",
        "durability": "fsync of leaf hashes and state after each step", "goals": GOALS,
    }  # fmt: skip
    rows["verify"] = [verdicts(count) for count in ((5, 50) if quick else (20, 200))]
    for row in rows["verify"]:
        print(f"verify, {row['notices']} notices in the log:")
        for how in (f"{stage}{bare}" for stage in STAGES for bare in ("", "_bare")):
            print(f"  {how}: p50 {row[how]['p50_ms']:.2f} ms, p99 {row[how]['p99_ms']:.2f} ms")
    most = 2_000 if quick else 20_000
    rows["follow"] = [followed(most // 10), followed(most)]
    rows["ed25519_per_second"] = signatures()
    for row in rows["follow"]:
        share = row["per_cpu_second"] / rows["ed25519_per_second"]
        rates = f"{row['per_second']:.0f}/s, {row['per_cpu_second']:.0f} in a second of CPU"
        print(f"follow {row['records']}: {rates}, {share:.0%} of bare signatures")
    rows["process"] = a_process(3 if quick else 9)
    print("process:", rows["process"])
    if not os.getuid():
        rows["split"] = split(20 if quick else IDLE_SECONDS, 50 if quick else 500)
        print("split:", rows["split"])
    return rows


if __name__ == "__main__":
    print(json.dumps(run(quick="--quick" in sys.argv)))
