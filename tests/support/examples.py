"""Settings of Hypothesis: fixed examples in `make test`, more and random ones in `make test-fuzz`.

`HYPOTHESIS_PROFILE=fuzz` draws examples at random, and `EXAMPLES` multiplies their number.
A failure prints a `@reproduce_failure` line, and `--hypothesis-seed` repeats a run.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_COMMON = {
    "deadline": None,
    "database": None,
    # To explain a failure, Hypothesis would trace each line.
    "phases": (Phase.explicit, Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
}
FACTOR = int(os.environ.get("EXAMPLES", "1"))

settings.register_profile("test", derandomize=True, **_COMMON)
settings.register_profile("fuzz", derandomize=False, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


def examples(number: int) -> settings:
    """The settings of a test with this number of examples in `make test`."""
    return settings(max_examples=number * FACTOR)
