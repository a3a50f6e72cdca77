"""The fuzzer's own test: it asks what it should, finds nothing, and says the same things again."""

import itertools
import pathlib

from kilonova.tests.functional import crowd, fuzz_run
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.fuzzer import Fuzzer


def test_some_hundred_requests(tmp_path: pathlib.Path) -> None:
    result = fuzz_run.run(tmp_path, 400, seed=7)
    assert result.findings == []
    assert result.sent == 400
    accepted = sum(n for status, n in result.statuses.items() if status < 300)
    assert accepted > 60 and result.statuses[400] > 60


def test_a_seed_is_a_sequence(tmp_path: pathlib.Path) -> None:
    cloud = Cloud(tmp_path, extra=crowd.CONF)
    try:
        fuzzer = Fuzzer(cloud, seed=5)
        first = [str(one) for one in itertools.islice(fuzzer.requests(), 50)]
        again = Fuzzer(cloud, 5, fuzzer.things)
        assert [str(one) for one in itertools.islice(again.requests(), 50)] == first
        other = Fuzzer(cloud, 6, fuzzer.things)
        assert [str(one) for one in itertools.islice(other.requests(), 50)] != first
    finally:
        cloud.close()
