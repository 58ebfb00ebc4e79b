"""`answerable demo`: a small fleet founded, patched, attacked and proven, by real processes.

The scenes are in `scenes/`. Rules: everybody is a process of the real commands with a directory and
keys of its own; what is shown was read back from records, files and answers; everything is kept
below one directory, whose path is the last line; nothing runs or stays mounted afterwards, however
the story ends. `cache/` there is kept for the next time, all else is played anew.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from answerable.bootstrap.serve import clock
from answerable.demo import apphosts, ground
from answerable.demo.scenes import caught, failing, founding, patching, people, sabotage, verdict
from answerable.demo.scenes.cast import LOG, READER, Cast, StoryFailed
from answerable.demo.scenes.hosts import ZONES, Agents
from answerable.demo.scenes.stage import Stage
from answerable.demo.scenes.tell import Teller
from answerable.demo.scenes.watch import Watch
from answerable.demo.spent import Spent

KINDS = ("auto", "real", "application")
_MARK = "answerable-demo"
_KEPT = ("cache", _MARK)
_OLD = ".old-"
FAILING, PEOPLE, CAUGHT, SABOTAGE, EDIT = 5, 6, 7, 8, 9
"""Numbers of scenes; those before and the last one are always played."""


def play(directory: Path, kind: str = "auto", last: int = 10) -> None:
    """Play the story.

    Args:
        directory: everything is kept below it; what an earlier story left there is replaced.
        kind: of hosts, `KINDS`; `auto` tries real ones.
        last: the last scene to play before the proof.

    Raises:
        Unavailable: the story cannot go on; what there is stays in the directory.
    """
    tell, directory = Teller(), directory.resolve()
    signal.signal(signal.SIGTERM, _interrupt)
    with _alone(directory):
        _play(directory, kind, last, tell)
    sys.stdout.write(f"{directory}\n")


def _play(directory: Path, kind: str, last: int, tell: Teller) -> None:
    _clear(directory)
    laid = _lay(directory, kind, tell)
    began = tell.elapsed()
    try:
        cast = Cast(directory, laid, tell)
        with Spent() as spent:
            _scenes(cast, last)
        tell.line("")
        tell.line(_told(began, tell.elapsed() - began, spent.seconds))
    finally:
        laid.hosts.down()


def _told(before: float, story: float, seconds: Mapping[str, float]) -> str:
    packages, own = (round(seconds.get(kind, 0)) for kind in ("packages", "own"))
    waiting = round(story) - packages - own
    told = f"the story took {story:.0f} s: in {packages} s apt or dpkg ran on a host, "
    told += f"in {waiting} s everybody waited for a window, a soak or the next look, "
    told += f"in {own} s ran what is ours; hosts and packages took {before:.0f} s before it "
    return f"{told}(load {os.getloadavg()[1]:.1f} on {os.cpu_count()} processors)"


def _scenes(cast: Cast, last: int) -> None:
    agents = Agents(cast)
    cast.prepare()
    founding.play(cast, agents, cast.directory / "cache")
    stage = Stage(cast, agents, spectate(cast))
    made, said, chosen = patching.play(stage)
    if last >= FAILING:
        failing.play(stage, made, said, chosen)
    if last >= PEOPLE:
        plans = people.play(stage, made)
    if last >= CAUGHT:
        caught.play(stage, plans[0][0].packages)
    if last >= SABOTAGE:
        sabotage.play(stage, said, [plan for plan, _ in plans])
    if last >= EDIT:
        verdict.edit(cast)
    verdict.play(cast, verdict.collect(cast))


def spectate(cast: Cast) -> Watch:
    """Start the spectator, from whose lines the story is told."""
    words = [sys.executable, "-m", "answerable.demo.scenes.spectate", cast.url(LOG)]
    place = cast.place(READER)
    words += [str(place / "charter.note"), str(place / "hosts.json")]
    with (cast.directory / "output" / f"{READER}.txt").open("ab") as file:
        process = cast.ground.hosts.run_in_hub(words, cast.uid(READER), None, subprocess.PIPE, file)
    assert process.stdout
    cast.running[READER] = process
    return Watch(cast, process.stdout)


def _lay(directory: Path, kind: str, tell: Teller) -> ground.Ground:
    names = list(ZONES)
    if kind == "application":
        laid = ground.lay_application(directory, names, "they were asked for", tell.line)
    else:
        laid = ground.lay(directory, names, clock(), tell.line)
    if laid.kind == "real":
        tell.line(f"hosts: {len(names)} real hosts, overlay root, network and dpkg of their own")
    else:
        tell.line(f"hosts: {len(names)} application hosts, since {laid.why}")
    for update in laid.pending:
        tell.line(f"pending: {update.package} {update.before} -> {update.after}")
    for suite in laid.expired:
        tell.bad(f"the suite {suite} is past its Valid-Until")
    return laid


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Make the directory, or take one that an earlier story left, while nobody else plays in it."""
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()) and not (directory / _MARK).exists():
        raise StoryFailed(f"`{directory}` holds something else than a demo; name an empty one")
    with (directory / _MARK).open("a") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            why = f"a demo is being played in `{directory}`; let it end, or name another directory"
            raise StoryFailed(why) from error
        yield


def _clear(directory: Path) -> None:
    """Empty the directory, of which the cache stays; the files are deleted while the story runs."""
    apphosts.end_leftovers(directory)
    old = Path(tempfile.mkdtemp(prefix=_OLD, dir=directory))
    for place in list(directory.iterdir()):
        if place.name not in _KEPT and place != old:
            place.rename(old / place.name)
    # Thousands of small files can take longer to delete than to make.
    threading.Thread(target=shutil.rmtree, args=(old, True), name=_OLD, daemon=True).start()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
