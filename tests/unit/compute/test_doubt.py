"""When a host asks whether what it is sent is still wanted."""

import time

import pytest

from kilonova.compute.doubt import Doubt


def test_after_a_time_without_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, 'monotonic', lambda: clock[0])
    made = Doubt(interval=10)
    for clock[0] in (110.0, 120.0, 149.0):  # one came late
        assert not made.is_due()
        made.heard()
        assert not made.is_due()
    clock[0] = 180.0
    assert made.is_due()
    made.heard()
    assert made.is_due()  # what has waited comes in
    clock[0] = 191.0
    made.heard()
    assert not made.is_due()
