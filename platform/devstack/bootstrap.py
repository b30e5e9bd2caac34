"""Make `.venv` and install what the locks name. Standard library only, and readable by old Pythons too,
so that a Python that is too old can still say so. Run by `make`; run again it returns at once.
"""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OLDEST, TOO_NEW = (3, 11), (3, 14)
ROOT = Path(__file__).resolve().parents[2]
VENV = Path(os.environ.get("FEDSTUDY_VENV") or ROOT / ".venv")
PYTHON = VENV / "bin" / "python"
RECORD = VENV / "fedstudy.json"
LOCAL = ["federation/core", "nodes/agent", "platform/client", "."]
LOCKS = ["requirements.lock", "requirements-torch.lock"]
TORCH = "torch==2.13.0"
PIP = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-input", "--no-compile"]
UV = [str(PYTHON.parent / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON)]
UV_SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
# Two lists that take equally long. torch imports its compiler, `torch._dynamo`, when a script makes an optimizer.
IMPORTED_BY_SCRIPTS = [
    ["torch", "torch._dynamo"],
    ["fedstudy_node.child", "flwr.clientapp", "pandas", "pyarrow.csv", "pyarrow.parquet", "sklearn", "xgboost"],
]
IMPORT_ALL = """
import contextlib, importlib, sys
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
"""


class CannotSetUp(Exception):
    """Set-up cannot go on; the message says what to do."""


def main() -> int:
    """Bring `.venv` up to date; returns the exit code."""
    try:
        interpreter = suitable_python()
        wanted = fingerprint(interpreter)
        if installed() == wanted:
            return 0
        began = time.time()
        make_environment(interpreter)
        install()
        remember(wanted, time.time() - began)
    except CannotSetUp as problem:
        print("\n" + str(problem), file=sys.stderr)
        return 1
    say(f"Ready after {time.time() - began:.0f} s.")
    return 0


def suitable_python() -> str:
    """Path of a Python that FedStudy runs on: this one, else one found by its usual name."""
    if OLDEST <= sys.version_info[:2] < TOO_NEW:
        return sys.executable
    for minor in range(TOO_NEW[1] - 1, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found:
            return found
    raise CannotSetUp(
        f"FedStudy needs Python 3.11, 3.12 or 3.13; this is {sys.version_info[0]}.{sys.version_info[1]}.\n"
        "  What to do: install one of them (`apt install python3.13`, `brew install python@3.13`, pyenv),\n"
        "  or name it: make PYTHON=/path/to/python3.13 demo"
    )


def fingerprint(interpreter: str) -> str:
    """What the environment must be made from: the interpreter, the locks, the local distributions, this file."""
    digest = hashlib.sha256(interpreter.encode())
    declarations = [f"{folder}/pyproject.toml" for folder in LOCAL]
    for name in [*LOCKS, *declarations, "platform/devstack/bootstrap.py"]:
        digest.update(hashlib.sha256((ROOT / name).read_bytes()).digest())
    digest.update(str(ROOT).encode())
    return digest.hexdigest()


def installed() -> str:
    """Fingerprint of what is installed, or "" when nothing or only a part of it is."""
    try:
        return str(json.loads(RECORD.read_text())["fingerprint"])
    except (OSError, ValueError, KeyError):
        return ""


def remember(wanted: str, seconds: float) -> None:
    """Note that the environment is complete."""
    RECORD.write_text(json.dumps({"fingerprint": wanted, "install_s": round(seconds, 1)}))


def make_environment(interpreter: str) -> None:
    """Make `.venv`, or keep the one that is there if it has the same Python and a pip that can be run.

    A set-up that was ended in between may leave one without pip, and nothing could be installed into it ever again.
    """
    question = "import sys; print(sys.version_info[:2])"
    same_python = PYTHON.exists() and answer([str(PYTHON), "-c", question]) == answer([interpreter, "-c", question])
    if same_python and answer([str(PYTHON), "-m", "pip", "--version"]):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    say(f"Making {VENV}")
    run(
        [interpreter, "-m", "venv", str(VENV)],
        "Python cannot make a virtual environment.\n"
        "  What to do: on Debian and Ubuntu `apt install python3-venv`, then run the same command again.",
    )


def install() -> None:
    """Install the locked packages, torch for the CPU, and FedStudy's own distributions."""
    say("Installing the packages of requirements.lock")
    install_uv()
    wheels = ["--only-binary", ":all:"]
    install_packages(
        [*wheels, "--require-hashes", "-r", str(ROOT / LOCKS[0])],
        "Some packages could not be installed.\n"
        "  What to do: check the network (behind a proxy, set HTTPS_PROXY and PIP_CERT) and the free disk\n"
        "  space (2 GB), then run the same command again. A package 'from versions: none' has no build for\n"
        "  this machine: use Python 3.11 to 3.13 on Linux (x86-64, ARM) or macOS.",
    )
    install_torch(wheels)
    own = [word for folder in LOCAL for word in ("--editable", str(ROOT / folder))]
    say("Installing FedStudy's own packages")
    install_packages(
        ["--no-deps", "--no-build-isolation", *own],
        "FedStudy's own packages could not be installed.\n"
        "  What to do: remove .venv (`make clean`) and run the same command again.",
    )
    compile_what_scripts_import()


def install_uv() -> None:
    """Install the locked uv, which installs the rest in a tenth of pip's time; where it cannot be had, pip does it."""
    locked = (ROOT / LOCKS[0]).read_text("utf-8")
    found = re.search(r"^uv==.*\n(?:[ \t].*\n)*", locked, re.MULTILINE)
    if found is None:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirement:
        requirement.write(found[0])
        requirement.flush()
        words = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", requirement.name]
        subprocess.call([*PIP, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def install_packages(words: "list[str]", remedy: str) -> None:
    """Install by uv, or by pip where uv does not reach what pip's settings reach."""
    if not succeeds([*UV, *words]):
        run([*PIP, *words], remedy)


def succeeds(command: "list[str]") -> bool:
    """Whether a command can be run and ends well; uv looks where pip is told to look."""
    environment = {**os.environ, **settings_for_uv()}
    try:
        quiet = subprocess.DEVNULL
        return subprocess.call(command, env=environment, stdout=quiet, stderr=quiet) == 0
    except OSError:
        return False


def settings_for_uv() -> "dict[str, str]":
    """Pip's settings of indexes and certificates, from its files and the environment, as uv reads them."""
    told = re.findall(r"^\S+\.([a-z-]+)=(.*)$", answer([str(PYTHON), "-m", "pip", "config", "list"]), re.MULTILINE)
    known = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # as pip does; the locks' hashes say what may come
    for name, value in told:
        if name in UV_SETTINGS:
            between = "," if name == "find-links" else " "
            known[UV_SETTINGS[name]] = between.join(str(ast.literal_eval(value)).split())
    return known


def compile_what_scripts_import() -> None:
    """Import once what scripts import: behind the walls, where they run, nobody can write the compiled files.

    pip would compile everything, which takes longer than installing it; whatever else runs compiles what it needs. A
    module that cannot be imported is told of by whoever needs it.
    """
    say("Compiling what scripts import")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    importing = [
        subprocess.Popen([str(PYTHON), "-c", IMPORT_ALL, *modules], env=environment, stderr=subprocess.DEVNULL)
        for modules in IMPORTED_BY_SCRIPTS
    ]
    for process in importing:
        process.wait()


def install_torch(wheels: "list[str]") -> None:
    """The locked CPU wheel where pip is told of it, else the CPU build that uv finds for this machine."""
    say("Installing torch (CPU)")
    locked = [*wheels, "--no-deps", "--require-hashes", "-r", str(ROOT / LOCKS[1])]
    if succeeds([*UV, *locked]) or succeeds([*PIP, *locked]):
        return
    run(
        [*UV, "--no-deps", "--torch-backend", "cpu", TORCH],
        f"{TORCH} could not be installed.\n"
        f"  What to do: run `{PYTHON} -m pip install {TORCH}` by hand, with PIP_FIND_LINKS or\n"
        "  PIP_EXTRA_INDEX_URL naming a place that has a CPU build, then run the same command again.",
    )


def run(command: "list[str]", remedy: str) -> None:
    """Run a command quietly; on failure raise with the end of its output and the remedy."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        telling = [line for line in lines if "WARNING" not in line]
        raise CannotSetUp("\n".join(telling[-15:]) + "\n\n" + remedy)


def answer(command: "list[str]") -> str:
    """What a command prints, or "" when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
