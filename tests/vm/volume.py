"""Runs inside the virtual machine: drives the snapshots of a volume as the agent would. Not a test.

`volume.py AGENT JSON` with {"do","name","bytes","volume","root","state"}; answers with one line.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from answerable.host.snapshot.lvm import Lvm
from answerable.host.snapshot.port import SnapshotFailed


def main() -> None:
    """Answer one job."""
    job = json.loads(sys.argv[2])
    driver = Lvm(Path(job["state"]), volume=job["volume"], room=job["bytes"], root=job["root"])
    answer: dict[str, object] = {}
    try:
        if job["do"] == "ready":
            driver.ready()
        elif job["do"] == "take":
            answer["taken"] = driver.take(job["name"])
        elif job["do"] == "drop":
            driver.drop(job["name"])
        answer["kept"] = [[one.name, one.size, one.of_use] for one in driver.kept()]
    except SnapshotFailed as error:
        answer["error"] = str(error)
    print(json.dumps(answer))  # noqa: T201


main()
