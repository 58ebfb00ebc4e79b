"""People at their desks: real SSH keys made and used by this machine's own `ssh-keygen`."""

import subprocess
from pathlib import Path

from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter
from tests.simulator.constitution import charter as charter_body

FLEET = "ef" * 32
NONCE = "0" * 32


class Desk:
    """One key a name, made when first asked for."""

    def __init__(self, folder: Path) -> None:
        """Keep keys and texts in a folder."""
        self.folder = folder

    def key(self, name: str) -> Path:
        """Give the private key file of a name."""
        path = self.folder / name
        if not path.exists():
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@desk", "-f"]
            subprocess.run([*words, str(path)], check=True, capture_output=True)
        return path

    def line(self, name: str) -> str:
        """Give the public key line of a name, without its comment."""
        return " ".join(self.key(name).with_suffix(".pub").read_text().split()[:2])

    def sign(self, name: str, text: str, namespace: str) -> str:
        """Sign a text, as `ssh-keygen -Y sign -f KEY -n NAMESPACE FILE` does."""
        file = self.folder / "said"
        file.write_text(text)
        words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(self.key(name)), "-n", namespace]
        subprocess.run([*words, str(file)], check=True, capture_output=True)
        signature = file.with_suffix(".sig")
        armoured = signature.read_text()
        signature.unlink()
        return armoured

    def charter(self, **people: str) -> Json:
        """Give the simulator's charter with the people's keys from here; dana and lee by default.

        Args:
            people: person to the name of the key that the charter lists for that person.
        """
        body = charter_body()
        for person, name in {"dana": "dana", "lee": "lee", **people}.items():
            body["people"][person]["keys"] = [self.line(name)]
        return body

    def law(self, **people: str) -> Charter:
        """Give that charter, in force."""
        return Charter(self.charter(**people), FLEET)
