"""Run every benchmark and keep what it says: `python -m benchmarks [name ...] [-- arguments]`.

Each `bench_<name>.py` runs in a process of its own, prints its tables and, as lines of JSON, its
results; those go to `results/<name>.json` with commit, machine and time, from here and nowhere
else. A benchmark that fails, or tells no number, leaves the results that were there.
"""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent


def conditions() -> dict[str, object]:
    """Say on what this was measured."""
    git = ("git", "describe", "--always", "--dirty", "--abbrev=12")
    commit = subprocess.run(git, cwd=HERE, capture_output=True, text=True, check=False).stdout
    lines = Path("/proc/cpuinfo").read_text().split("\n")
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "commit": commit.strip(), "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": models[:1], "cores": os.cpu_count(), "load": os.getloadavg()[0],
        "system": platform.platform(), "python": platform.python_version(),
    }  # fmt: skip


def numbers(told: object) -> int:
    """Count the numbers in what a benchmark told; its goals were not measured."""
    if isinstance(told, dict):
        return sum(numbers(each) for name, each in told.items() if name != "goals")
    if isinstance(told, list):
        return sum(map(numbers, told))
    return int(isinstance(told, int | float) and not isinstance(told, bool))


def bench(name: str, arguments: list[str]) -> int:
    """Run one benchmark; give its exit code."""
    told, found = list[object](), conditions()
    command = [sys.executable, "-m", f"benchmarks.bench_{name}", *arguments]
    with subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        for line in run.stdout:
            if line.startswith("{"):
                told.append(json.loads(line))
            else:
                print(line, end="", flush=True)
    if run.returncode == 0 and not numbers(told):
        print(f"{name}: told no number as a line of JSON; its results stay as they were")
        return 1
    if run.returncode == 0:
        (HERE / "results").mkdir(exist_ok=True)
        text = json.dumps({**found, "results": told}, indent=1) + "\n"
        (HERE / "results" / f"{name}.json").write_text(text)
    return run.returncode


def main() -> int:
    """Run those that are named, or all."""
    words, _, arguments = " ".join(sys.argv[1:]).partition("--")
    names = words.split() or sorted(f.stem[len("bench_") :] for f in HERE.glob("bench_*.py"))
    return max(bench(name, arguments.split()) for name in names)


if __name__ == "__main__":
    sys.exit(main())
