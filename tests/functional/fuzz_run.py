"""Runs the fuzzer for as many requests as are wanted, and tells what it has found."""

import dataclasses
import faulthandler
import gc
import logging
import os
import pathlib
import time
from collections import Counter

from kilonova.tests.functional import crowd
from kilonova.tests.functional.checkpoint import Checkpoint
from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.fuzzer import Fuzzer, Sent

PORTION = 200
"""Requests after which the cloud becomes as it was."""
SLOW, HANGS = 10.0, 120.0
"""Seconds after which a request is a finding, and after which the run ends with all stacks."""
WARM = 0.2
"""The part of the run after which memory counts."""
GROWTH_MB = 60.0
PAGE = os.sysconf('SC_PAGE_SIZE')


@dataclasses.dataclass
class Result:
    """What has come of it."""

    sent: int = 0
    statuses: Counter[int] = dataclasses.field(default_factory=Counter)
    findings: list[str] = dataclasses.field(default_factory=list)
    logged: Counter[str] = dataclasses.field(default_factory=Counter)
    warm_mb: float = 0.0
    end_mb: float = 0.0

    @property
    def growth(self) -> float:
        return self.end_mb - self.warm_mb


class _Errors(logging.Handler):
    """Counts what any daemon logs as an error, by its text before the values."""

    def __init__(self, counter: Counter[str]) -> None:
        super().__init__(logging.ERROR)
        self._counter = counter

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ''
        self._counter[f'{record.name}: {record.msg} {kind}'[:300]] += 1


def memory_mb() -> float:
    """Return what this process holds in memory, garbage not counted."""
    gc.collect()
    return int(pathlib.Path('/proc/self/statm').read_text().split()[1]) * PAGE / 2**20


def run(folder: pathlib.Path, requests: int, seed: int, verbose: bool = False) -> Result:
    """Send so many requests to a cloud of its own."""
    result = Result()
    handler = _Errors(result.logged)
    logging.getLogger().addHandler(handler)
    cloud = Cloud(folder, hosts=2, extra=crowd.CONF)
    logging.disable(logging.INFO)
    try:
        fuzzer = Fuzzer(cloud, seed)
        before = Checkpoint(cloud)
        _loop(result, fuzzer, before, requests, verbose)
    finally:
        faulthandler.cancel_dump_traceback_later()
        cloud.close()
        logging.disable(logging.NOTSET)
        logging.getLogger().removeHandler(handler)
    if result.growth > GROWTH_MB:
        result.findings.append(f'memory has grown by {result.growth:.0f} MB since the warm-up')
    return result


def _loop(result: Result, fuzzer: Fuzzer, before: Checkpoint, requests: int, verbose: bool) -> None:
    for sent in fuzzer.requests():
        _try(result, fuzzer, sent)
        result.sent += 1
        if result.sent % PORTION == 0:
            if not before.wait():
                result.findings.append(f'operations do not end after request {result.sent}')
            before.restore()
        if not result.warm_mb and result.sent >= requests * WARM:
            result.warm_mb = memory_mb()
        if verbose and result.sent % (10 * PORTION) == 0:
            print(f'{result.sent} requests, {memory_mb():.0f} MB, '
                  f'{len(result.findings)} findings', flush=True)  # fmt: skip
        if result.sent >= requests:
            break
    before.restore()
    result.end_mb = memory_mb()


def _try(result: Result, fuzzer: Fuzzer, sent: Sent) -> None:
    faulthandler.dump_traceback_later(HANGS, exit=True)
    began = time.monotonic()
    answer = fuzzer.send(sent)
    took = time.monotonic() - began
    result.statuses[answer.status] += 1
    wrong = _wrong(answer)
    if took > SLOW:
        wrong = f'{took:.0f} seconds'
    if wrong:
        result.findings.append(f'{wrong}: {sent}\n    {answer.text[:500]}')
        print(result.findings[-1], flush=True)


def _wrong(answer: Answer) -> str | None:
    """Return what no answer may be.

    501 is one for what no driver here can do, 503 for a host that a request has forced down.
    """
    down = answer.status == 503 and 'Compute service of controller-' in answer.text
    if answer.status >= 500 and answer.status != 501 and not down:
        return f'status {answer.status}'
    if 'x-openstack-request-id' not in answer.headers:
        return 'no request id'
    if answer.status >= 400 and answer.text:
        ((_, fault),) = answer.json.items()
        if fault['code'] != answer.status or not fault['message']:
            return 'a malformed fault'
    return None
