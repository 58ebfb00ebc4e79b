"""Nothing that came from the network is ever run, unpickled or evaluated."""

import ast

from tests.structure.source import Module, modules, parse

CALLS = frozenset(
    {
        "eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput",
        "subprocess.getstatusoutput", "asyncio.create_subprocess_shell", "yaml.load",
        "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "tempfile.mktemp",
        "ssl._create_unverified_context",
    }
)  # fmt: skip
MODULES = frozenset({"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"})
OPTIONS = {"shell": True, "verify": False}


def _found(module: Module) -> list[str]:
    calls = [f"{module.path}:{line} {name}" for line, name, _ in module.calls() if name in CALLS]
    imports = [
        f"{module.path}:{line} {name}"
        for line, name in module.imports()
        if name.split(".")[0] in MODULES or name in CALLS
    ]
    options = [
        f"{module.path}:{line} {keyword.arg}="
        for line, _, node in module.calls()
        for keyword in node.keywords
        if keyword.arg in OPTIONS
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value is OPTIONS[keyword.arg]
    ]
    return calls + imports + options


def test_the_search_finds_what_it_forbids() -> None:
    """Each kind of forbidden thing is seen."""
    text = (
        "import pickle\nfrom os import system\neval('1')\nrun('x', shell=True)\nget(verify=False)\n"
    )
    assert len(_found(parse("x.py", text))) == 5


def test_nothing_runs_text_as_code() -> None:
    """No shell string, no pickle, no eval, no unsafe YAML, no unverified TLS."""
    assert [f for m in modules("src", "scripts") for f in _found(m)] == []
