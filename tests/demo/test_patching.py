"""What is escalated is shown once for all that it is equally true of."""

from answerable.demo.scenes.patching import escalated


def test_equal_reasons_and_equal_hosts_are_one_line() -> None:
    """Each host and package is named, with the reason as the plan has it."""
    rows = [{"host": host, "reason": f"`{package}`: no authorization covers it"}
            for host in ("web1", "web2") for package in ("apt", "jq")]  # fmt: skip
    rows += [{"host": "web1", "reason": "`zip`: no authorization covers it"}]
    rows += [{"host": "pci1", "reason": "zone `pci` is excluded by `x`: people decide"}]
    assert list(escalated(rows)) == [
        "web1, web2: `apt`, `jq`: no authorization covers it",
        "web1: `zip`: no authorization covers it",
        "pci1: zone `pci` is excluded by `x`: people decide",
    ]
