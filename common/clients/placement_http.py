"""Asking placement: one microversion, typed errors, retries.

Whatever placement accepts is either idempotent or guarded by a generation, so a request
that got no answer may be sent again.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
import requests
from keystoneauth1 import adapter as ks_adapter
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.clients import keystone

LOG = logging.getLogger(__name__)
T = TypeVar('T')

MICROVERSION = '1.36'
HEADERS = {'OpenStack-API-Version': f'placement {MICROVERSION}', 'Accept': 'application/json'}
CONCURRENT_UPDATE = 'placement.concurrent_update'
ATTEMPTS = 6
# A request that failed later than this has been waiting; its caller has waited long enough too.
QUICK = 5.0


class PlacementError(exception.KilonovaError):
    """Placement refused a request that should have been fine."""

    msg = 'Placement answered %(status)s to %(method)s %(path)s: %(reason)s'


class ConcurrentUpdate(exception.Conflict):
    """A generation had moved on, again and again; nothing was changed."""

    msg = 'Placement kept changing during %(method)s %(path)s: %(reason)s'


class Refusal(msgspec.Struct):
    """The useful part of placement's error body."""

    status: int
    code: str
    detail: str

    @property
    def concurrent(self) -> bool:
        return self.status == 409 and self.code == CONCURRENT_UPDATE


def refusal_of(response: requests.Response) -> Refusal:
    """Read an error body; a proxy's HTML page gives its text."""
    try:
        error = response.json()['errors'][0]
        detail = ' '.join(str(error.get('detail', '')).split())
        return Refusal(response.status_code, str(error.get('code', '')), detail)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Refusal(response.status_code, '', response.text[:200])


def backoff(attempts: int = ATTEMPTS) -> Iterator[int]:
    """Yield attempt numbers, with growing random pauses between them."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(random.uniform(0.5, 1.0) * 0.02 * 2**attempt)
        yield attempt


class Http:
    """Base of the client.  ``on_request`` is told (method, path) of each request sent."""

    def __init__(
        self,
        adapter: ks_adapter.Adapter,
        on_request: Callable[[str, str], None] | None = None,
    ) -> None:
        self._adapter, self._on_request = adapter, on_request

    def _send(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Send; once more when it failed at once, as a kept connection may just have been closed."""
        started = time.monotonic()
        try:
            return self._send_once(method, path, **kwargs)
        except exception.FellowServiceError:
            if time.monotonic() - started > QUICK:
                raise
        time.sleep(0.1)
        return self._send_once(method, path, **kwargs)

    def _send_once(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        if self._on_request is not None:
            self._on_request(method, path)
        return keystone.request(self._adapter, method, path, headers=HEADERS, **kwargs)

    def _need(
        self, response: requests.Response, method: str, path: str, *ok: int
    ) -> requests.Response:
        if response.status_code in (ok or (200,)):
            return response
        raise self._error(refusal_of(response), method, path)

    def _part(self, response: requests.Response, key: str, kind: Any) -> Any:
        """Return one part of an answer.  Raises FellowServiceError when it is not there."""
        return keystone.content(self._adapter, response, key, kind)

    def _decode(self, response: requests.Response, kind: type[T]) -> T:
        """Return a whole answer.  Raises FellowServiceError when it is something else."""
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.MsgspecError as error:
            LOG.warning('placement answered what it never says: %.200s', response.text)
            raise exception.FellowServiceError(
                service='placement', reason='an answer of another kind'
            ) from error

    def _error(self, refusal: Refusal, method: str, path: str) -> exception.KilonovaError:
        if refusal.status in (401, 403):  # our own credentials: nothing that a request can help
            return exception.FellowServiceError(
                service='placement', reason=f'HTTP {refusal.status}'
            )
        kind = ConcurrentUpdate if refusal.concurrent else PlacementError
        return kind(status=refusal.status, method=method, path=path, reason=refusal.detail)
