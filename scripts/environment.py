"""Makes .venv hold what the requirements say: `environment.py run`, or `environment.py dev`.

`run` is what serving with the embedded database takes, `dev` adds what tests and linting take.
Nothing is done when nothing changed. Runs on the system's Python, an old one included, so that it
can say what is missing.
"""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

MINIMUM = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
RUN = ("requirements.txt", "requirements-embedded.txt")
DEV = ("requirements-observe.txt", "requirements-dev.txt")
NO_PIP = (
    f"{sys.executable} has neither pip nor ensurepip, so that nothing can be installed."
    " On Debian and Ubuntu: sudo apt-get install python3-venv"
)


def main(wanted):
    """Bring .venv up to date.

    Args:
        wanted: "run" or "dev".

    Raises:
        SystemExit: it cannot be; the message says what to do.
    """
    if sys.version_info < MINIMUM:
        version = sys.version.split()[0]
        sys.exit(
            f"taskapi needs Python 3.11 or newer, and {sys.executable} is {version}."
            f" Name another one: make {wanted} PYTHON=python3.12"
        )
    wait_for_others()
    is_stale = wanted == "dev" and (VENV / "dev").exists() and not is_current("dev", DEV)
    if is_stale or not is_current("run", RUN) or not works():
        print("Installing what taskapi needs into .venv (once) ...", flush=True)
        make_venv()
        add("run", RUN)
    if wanted == "dev" and not is_current("dev", DEV):
        print("Installing what its tests need into .venv (once) ...", flush=True)
        add("dev", DEV)


def wait_for_others():
    """Let only one process at a time install here; the lock ends with this process."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Waiting for another make, which installs into .venv ...", flush=True)
        fcntl.flock(folder, fcntl.LOCK_EX)


def contents(requirements):
    """What a layer is made from: when it changes, or the folder moves, it is made anew."""
    return "\n".join([str(ROOT), *((ROOT / name).read_text() for name in requirements)])


def is_current(layer, requirements):
    """Whether the layer was installed completely, from these requirements."""
    stamp = VENV / layer
    return stamp.is_file() and stamp.read_text() == contents(requirements)


def works():
    """Whether the Python of .venv is still there and finds what was installed for it."""
    command = [str(VENV / "bin" / "python"), "-c", "import click"]
    try:
        return not subprocess.run(command, capture_output=True, check=False).returncode
    except OSError:
        return False


def add(layer, requirements):
    """Install a layer, and note it when all of it is there."""
    install = pip_of_venv() or pip_of_system() or sys.exit(NO_PIP)
    files = [argument for name in requirements for argument in ("-r", str(ROOT / name))]
    options = ["--quiet", "--require-hashes", "--disable-pip-version-check", "--no-input"]
    # A `user = true` in somebody's pip.conf would otherwise refuse to install here.
    environment = {**os.environ, "PIP_USER": "0"}
    if subprocess.run([*install, *options, *files], env=environment, check=False).returncode:
        sys.exit("The installation failed, as pip says above. Run the command again to retry.")
    stamp = VENV / layer
    unfinished = stamp.with_suffix(".new")
    unfinished.write_text(contents(requirements))
    unfinished.rename(stamp)


def make_venv():
    """Make .venv anew, with a pip of its own where Python can bring one."""
    if VENV.exists():
        shutil.rmtree(VENV)
    has_own_pip = can_bring_pip() or (not pip_of_system() and install_ensurepip())
    command = [sys.executable, "-m", "venv", str(VENV)]
    if not has_own_pip:
        command.append("--without-pip")
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"No virtual environment could be made in {VENV}, as Python says above.")


def can_bring_pip():
    """Whether `venv` can put pip into what it makes; Debian leaves that to python3-venv."""
    return has_module("ensurepip")


def has_module(name):
    """Whether there is such a module, and more of it than an empty folder."""
    found = importlib.util.find_spec(name)
    return bool(found and found.origin)


def pip_of_venv():
    """The command of the pip in .venv, if it has one."""
    python = str(VENV / "bin" / "python")
    has_pip = subprocess.run([python, "-c", "import pip"], capture_output=True, check=False)
    return [python, "-m", "pip", "install"] if not has_pip.returncode else None


def pip_of_system():
    """The command of this Python's pip that installs into .venv, if there is one."""
    if not has_module("pip"):
        return None
    return [sys.executable, "-m", "pip", "--python", str(VENV / "bin" / "python"), "install"]


def install_ensurepip():
    """As root on Debian, install what `venv` lacks there; anybody else is told to."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or not apt:
        sys.exit(NO_PIP)
    package = "python{}.{}-venv".format(*sys.version_info)
    print(f"Installing {package} with apt-get: this Python has no pip ...", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "-y", "-qq", "--no-install-recommends", package]
    # The package lists may be missing, as in a container's image, or old.
    for command in ([apt, "update", "-qq"], install):
        if subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False).returncode:
            sys.exit(f"{' '.join(command)} failed, as it says above.")
    importlib.invalidate_caches()
    if not can_bring_pip():
        sys.exit(f"{sys.executable} still has no ensurepip. Name another one with PYTHON=...")
    return True


if __name__ == "__main__":
    main(sys.argv[1])
