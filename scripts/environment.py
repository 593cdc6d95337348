"""Installs the locked requirements into .venv: `environment.py run`, or `environment.py dev`.

`run` installs what the service with the embedded database needs; `dev` adds the tests and linters.
Does nothing if nothing has changed. Runs on old versions of Python too, to report that they are too
old.
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
    f"{sys.executable} has neither pip nor ensurepip, so nothing can be installed."
    " On Debian and Ubuntu: sudo apt-get install python3-venv"
)


def main(wanted):
    """Bring .venv up to date.

    Args:
        wanted: "run" or "dev".

    Raises:
        SystemExit: the installation failed; the message says what to do.
    """
    if sys.version_info < MINIMUM:
        version = sys.version.split()[0]
        sys.exit(
            f"taskapi needs Python 3.11 or newer, but {sys.executable} is {version}."
            f" Use another one: make {wanted} PYTHON=python3.12"
        )
    wait_for_others()
    is_stale = wanted == "dev" and (VENV / "dev").exists() and not is_current("dev", DEV)
    if is_stale or not is_current("run", RUN) or not works():
        print("Installing the dependencies into .venv (once) ...", flush=True)
        make_venv()
        add("run", RUN)
    if wanted == "dev" and not is_current("dev", DEV):
        print("Installing the development dependencies into .venv (once) ...", flush=True)
        add("dev", DEV)


def wait_for_others():
    """Let one process install at a time, by a lock that ends with this process."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Waiting for another make that is installing into .venv ...", flush=True)
        fcntl.flock(folder, fcntl.LOCK_EX)


def contents(requirements):
    """What a layer is installed from. If it changes, the layer is installed again."""
    return "\n".join([str(ROOT), *((ROOT / name).read_text() for name in requirements)])


def is_current(layer, requirements):
    """Whether the layer was completely installed from these requirements."""
    stamp = VENV / layer
    return stamp.is_file() and stamp.read_text() == contents(requirements)


def works():
    """Whether the Python of .venv exists and finds its packages."""
    command = [str(VENV / "bin" / "python"), "-c", "import click"]
    try:
        return not subprocess.run(command, capture_output=True, check=False).returncode
    except OSError:
        return False


def add(layer, requirements):
    """Install a layer, and write its stamp when the installation is complete."""
    install = pip_of_venv() or pip_of_system() or sys.exit(NO_PIP)
    files = [argument for name in requirements for argument in ("-r", str(ROOT / name))]
    options = ["--quiet", "--require-hashes", "--disable-pip-version-check", "--no-input"]
    # With `user = true` in pip.conf, pip would otherwise refuse to install into .venv.
    environment = {**os.environ, "PIP_USER": "0"}
    if subprocess.run([*install, *options, *files], env=environment, check=False).returncode:
        sys.exit("The installation failed; see the output of pip above. Run it again to retry.")
    stamp = VENV / layer
    unfinished = stamp.with_suffix(".new")
    unfinished.write_text(contents(requirements))
    unfinished.rename(stamp)


def make_venv():
    """Create .venv from scratch, with its own pip if possible."""
    if VENV.exists():
        shutil.rmtree(VENV)
    has_own_pip = can_bring_pip() or (not pip_of_system() and install_ensurepip())
    command = [sys.executable, "-m", "venv", str(VENV)]
    if not has_own_pip:
        command.append("--without-pip")
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"The virtual environment {VENV} could not be created; see the error above.")


def can_bring_pip():
    """Whether `venv` can install pip; on Debian, that needs the package python3-venv."""
    return has_module("ensurepip")


def has_module(name):
    """Whether a module exists and is more than an empty directory."""
    found = importlib.util.find_spec(name)
    return bool(found and found.origin)


def pip_of_venv():
    """The install command of the pip in .venv, if it has one."""
    python = str(VENV / "bin" / "python")
    has_pip = subprocess.run([python, "-c", "import pip"], capture_output=True, check=False)
    return [python, "-m", "pip", "install"] if not has_pip.returncode else None


def pip_of_system():
    """The command by which this Python's pip installs into .venv, if there is one."""
    if not has_module("pip"):
        return None
    return [sys.executable, "-m", "pip", "--python", str(VENV / "bin" / "python"), "install"]


def install_ensurepip():
    """As root on Debian, install the package that `venv` needs; otherwise exit with advice."""
    apt = shutil.which("apt-get")
    if os.geteuid() != 0 or not apt:
        sys.exit(NO_PIP)
    package = "python{}.{}-venv".format(*sys.version_info)
    print(f"Installing {package} with apt-get: this Python has no pip ...", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "-y", "-qq", "--no-install-recommends", package]
    # The package lists may be outdated, or missing as in container images.
    for command in ([apt, "update", "-qq"], install):
        if subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False).returncode:
            sys.exit(f"{' '.join(command)} failed; see its output above.")
    importlib.invalidate_caches()
    if not can_bring_pip():
        sys.exit(f"{sys.executable} still has no ensurepip. Use another Python with PYTHON=...")
    return True


if __name__ == "__main__":
    main(sys.argv[1])
