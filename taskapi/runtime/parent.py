"""Child processes of `flask serve`, which end with it even if it is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PARENT = "TASKAPI_PARENT"
"""The environment variable with the ID of the parent process."""

_PR_SET_PDEATHSIG = 1


def as_parent() -> dict[str, str]:
    """The environment variables for child processes of this process."""
    return {_PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """End this process when its parent ends, if that is `flask serve`. Only Linux supports it.

    Otherwise gunicorn would occupy the port.

    Raises:
        SystemExit: the parent has ended already.
    """
    parent = os.environ.get(_PARENT)
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("flask serve has ended")
