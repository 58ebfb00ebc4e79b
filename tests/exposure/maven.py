"""Versions in the forms of Maven's that have an order, and its own `ComparableVersion` to ask.

It is asked by the benchmark (`bench_keys`) where `java` and Maven's library are installed.
"""

import random
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

JAVA = shutil.which("java")
LIBRARY = Path("/usr/share/maven/lib")
"""Where Debian's package `libmaven3-core-java` puts it."""
_WORDS = (
    "alpha", "beta", "milestone", "rc", "cr", "snapshot", "SNAPSHOT", "sp", "jre", "android", "a",
    "b", "m", "M", "RC", "redhat", "x", "z", "pre", "sec",
)  # fmt: skip
_ENDS = ("", "1", "-1", ".1", "0", "-0", ".0", "2", ".2", "10", "-10", ".10", "01")
_PARTS = (
    "0", "0", "1", "1", "2", "3", "9", "10", "01", "239", "240", "20230101", "123456789012345",
)  # fmt: skip
_ASK = """
import java.io.*;
import org.apache.maven.artifact.versioning.ComparableVersion;
public class Ask {
    public static void main(String[] given) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out));
        for (String line; (line = lines.readLine()) != null;) {
            String[] pair = line.split("\t");
            ComparableVersion old = new ComparableVersion(pair[0]);
            out.println(Integer.signum(old.compareTo(new ComparableVersion(pair[1]))));
        }
        out.flush();
    }
}
"""


def there() -> bool:
    """Tell whether Maven can be asked."""
    return bool(JAVA) and any(LIBRARY.glob("maven-artifact-*.jar"))


def made(chance: random.Random) -> list[str]:
    """Give some versions of the same numbers, and some of others."""
    numbers = ".".join(chance.choice(_PARTS) for _ in range(chance.randint(1, 4)))
    return [(numbers if chance.random() < 0.7 else chance.choice(_PARTS)) + _tail(chance)
            for _ in range(4)]  # fmt: skip


def _tail(chance: random.Random) -> str:
    kind = chance.randrange(6)
    if kind == 0:
        return ""
    if kind == 1:
        return chance.choice(".-") + chance.choice(("Final", "GA", "RELEASE", "ga"))
    if kind == 2:
        return "-" + ".".join(chance.choice(_PARTS) for _ in range(chance.randint(1, 3)))
    return f"-{chance.choice(_WORDS)}{chance.choice(_ENDS)}"


def by_maven(pairs: Sequence[tuple[str, str]]) -> list[int]:
    """Ask Maven for the order of each pair, -1, 0 or 1."""
    assert JAVA, "asked only where it is"
    text = "".join(f"{old}\t{new}\n" for old, new in pairs)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "Ask.java"
        file.write_text(_ASK)
        words = [JAVA, "-cp", f"{LIBRARY}/*", str(file)]
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]
