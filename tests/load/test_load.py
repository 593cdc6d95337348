from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from load.conftest import Place
from support import crowd

pytestmark = [pytest.mark.load, pytest.mark.alone]
SECONDS = float(os.environ.get("LOAD_SECONDS", "10"))

def test_explore(place: Place, record_property) -> None:
    for c, n in ((100, 0), (1000, 0), (1000, 1000)):
        with crowd.at_work(place.port, place.people, seconds=SECONDS, clients=c, newcomers=n, weights={"list": 5, "get": 2, "create": 2, "patch": 1}) as result:
            heard = result()
        heard.created = len(heard.created)
        print(c, n, heard, heard, crowd.Times(*heard.times), repr(heard))
