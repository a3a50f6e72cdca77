"""Histograms for Prometheus, and the port where it fetches them.

A daemon makes its histograms once; ``serve`` answers ``GET /metrics`` on
``[prometheus]listen`` when that is set.
"""

import bisect
import contextlib
import threading
import time
from collections.abc import Iterable, Iterator

from cheroot import wsgi
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import concurrency
from kilonova.common.config import Opts

LOG = logging.getLogger(__name__)

OPTIONS = [
    cfg.StrOpt(
        'listen',
        help='Address and port, such as 127.0.0.1:9180, where the scheduler answers GET /metrics '
        'for Prometheus. With several workers each one takes the next port. Unset: nowhere.',
    ),
]
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
TYPE = 'text/plain; version=0.0.4; charset=utf-8'


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [('prometheus', OPTIONS)]


class Histogram:
    """Seconds, counted by one label."""

    def __init__(self, name: str, text: str, label: str) -> None:
        self.name, self.text, self.label = name, text, label
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        HISTOGRAMS[name] = self

    def observe(self, value: str, seconds: float) -> None:
        with self._lock:
            counts = self._counts.setdefault(value, [0] * (len(BUCKETS) + 1))
            counts[bisect.bisect_left(BUCKETS, seconds)] += 1
            self._sums[value] = self._sums.get(value, 0.0) + seconds

    @contextlib.contextmanager
    def time(self, value: str) -> Iterator[None]:
        """Observe how long the body takes, also when it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.observe(value, time.perf_counter() - started)

    def lines(self) -> Iterator[str]:
        """Give the text form."""
        yield f'# HELP {self.name} {self.text}'
        yield f'# TYPE {self.name} histogram'
        with self._lock:
            known = {value: list(counts) for value, counts in self._counts.items()}
            sums = dict(self._sums)
        for value, counts in sorted(known.items()):
            total, own = 0, f'{self.label}="{value}"'
            for limit, number in zip((*BUCKETS, '+Inf'), counts, strict=True):
                total += number
                yield f'{self.name}_bucket{{{own},le="{limit}"}} {total}'
            yield f'{self.name}_sum{{{own}}} {sums[value]:.6f}'
            yield f'{self.name}_count{{{own}}} {total}'


HISTOGRAMS: dict[str, Histogram] = {}


def text() -> str:
    """Return all histograms of this process."""
    return ''.join(line + '\n' for one in HISTOGRAMS.values() for line in one.lines())


def application(environ: dict[str, object], start_response: object) -> Iterable[bytes]:
    """WSGI: ``GET /metrics``."""
    assert callable(start_response)
    if environ.get('PATH_INFO') != '/metrics' or environ.get('REQUEST_METHOD') != 'GET':
        start_response('404 Not Found', [('Content-Type', 'text/plain')])
        return [b'not found\n']
    start_response('200 OK', [('Content-Type', TYPE)])
    return [text().encode()]


class Exporter:
    """Answers Prometheus, in the background."""

    ATTEMPTS = 64

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._listen: str | None = conf.prometheus.listen
        self._server: wsgi.Server | None = None

    def start(self) -> None:
        """Take the first free port from the configured one on."""
        if not self._listen:
            return
        host, _, port = self._listen.rpartition(':')
        for number in range(int(port), int(port) + self.ATTEMPTS):
            server = wsgi.Server((host.strip('[]') or '0.0.0.0', number), application, numthreads=1)
            try:
                server.prepare()
            except OSError as error:
                LOG.debug('Port %s is taken: %s', number, error)
                continue
            self._server = server
            concurrency.spawn(server.serve)
            LOG.info('GET /metrics is answered on %s:%s', host, number)
            return
        LOG.error('No port for GET /metrics from %s on', self._listen)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
