"""The metadata API: what a guest asks at 169.254.169.254.

Requests come through Neutron's metadata agent, which says which server it is that asks
and signs it; a guest that came directly could claim any address, so it is not served.
Answers always have a Content-Type: Neutron's agent fails on one without.
"""

import hashlib
import hmac
import http
import posixpath
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec
import webob
from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import uuidutils

from kilonova.api import config, pipeline
from kilonova.api.metadata import remembered
from kilonova.api.metadata.learning import Learner, VendorData
from kilonova.common import exception
from kilonova.common.clients import neutron
from kilonova.common.config import register
from kilonova.common.context import get_admin_context
from kilonova.common.metadata import openstack, password, tree
from kilonova.common.objects.server import Server
from kilonova.conductor.interface import ConductorInterface

LOG = logging.getLogger(__name__)

_FAILED = b'An unknown error has occurred. Please try your request again.'
# A remembered server takes some 20 KB.
MOST_REMEMBERED = 5000

Headers = Any
K = TypeVar('K')
V = TypeVar('V')
_decode = msgspec.json.Decoder(Server).decode


class Refusal(Exception):
    """An answer that is no content.

    It has a body always: Neutron's agent spoils one that has none, so that the guest gets a 502.
    """

    def __init__(self, status: int, message: str = '') -> None:
        super().__init__(message)
        self.status, self.message = status, message or http.HTTPStatus(status).phrase


class Asker(NamedTuple):
    """Who asks: a server, its project, and the address that it asks from."""

    server_id: str
    project_id: str
    address: str | None


def make_metadata_app(conf: cfg.ConfigOpts, conductor: ConductorInterface) -> Any:
    """Return the metadata API as a WSGI application, with the layers of ``api-paste.ini``."""
    register(config.list_opts(), conf)
    return pipeline.load('metadata', conf, conductor)


def factory(_global_conf: dict[str, str], **_local_conf: str) -> 'MetadataApp':
    """Paste application factory."""
    parts = pipeline.building()
    return MetadataApp(parts.conf, parts.conductor)


class MetadataApp:
    """One conductor call for a server that is not remembered, none for one that is."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        conductor: ConductorInterface,
        clock: Callable[[], float] = time.monotonic,
        known: remembered.Store | None = None,
    ) -> None:
        self._conf = conf
        self._conductor = conductor
        self._clock = clock
        self._learner = Learner(known or remembered.store(conf))
        self._options = tree.options(conf, VendorData(conf, self._learner))
        self._trees: dict[Asker, tuple[float, tuple[bytes, tree.Tree]]] = {}
        self._lock = threading.Lock()
        self._askers: dict[tuple[str, str], tuple[float, Asker]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = webob.Request(environ)
        status, kind, content = 200, 'text/plain', b''
        try:
            kind, content = self._answer(request)
        except Refusal as refusal:
            status, content = refusal.status, refusal.message.encode()
        except exception.ServiceUnavailable as error:
            LOG.warning('Metadata cannot be looked up: %s', error)
            status, content = 503, b'Metadata is unavailable at this time.'
        except exception.VendorDataFailed:  # the log says so where it has failed
            status, content = 500, _FAILED
        except Exception:
            LOG.exception('Unexpected error in a metadata request')
            status, content = 500, _FAILED
        response = webob.Response(body=content, status=status, content_type=kind, charset='UTF-8')
        if request.method == 'HEAD':
            start_response(response.status, response.headerlist)
            return []
        return response(environ, start_response)

    def _answer(self, request: webob.Request) -> tuple[str, bytes]:
        path = _path(request)
        stores = request.method == 'POST' and path.endswith(f'/{openstack.PASSWORD}')
        if request.method not in ('GET', 'HEAD') and not stores:
            raise Refusal(405, 'Only GET and HEAD are served.')
        if path == '/':
            return tree.VERSION_LIST
        asker = self._asker(request.headers)
        found = self._tree(asker).lookup(path)
        if found is None:
            raise Refusal(404)
        if stores:
            self._store_password(asker, _password(request))
            return 'text/plain', b''
        return found

    def _store_password(self, asker: Asker, given: str) -> None:
        """Keep a password, once: a second one is refused until the owner has cleared the first."""
        if not given:
            return
        try:
            self._conductor.set_server_password(get_admin_context(), asker.server_id, given)
        except exception.Conflict as error:
            raise Refusal(409, error.message) from None
        except exception.InstanceNotFound:
            raise Refusal(404) from None
        self._learner.forget(asker.server_id)

    # -- who asks

    def _asker(self, headers: Headers) -> Asker:
        if not self._conf.neutron.service_metadata_proxy:
            raise Refusal(404, 'Metadata is served through the metadata agents of Neutron only.')
        if headers.get('X-Metadata-Provider') is not None:
            return self._behind_provider(headers)
        server_id = _required(headers, 'X-Instance-ID')
        project_id = _required(headers, 'X-Tenant-ID')
        self._check_signature(server_id, headers.get('X-Instance-ID-Signature'))
        return Asker(server_id, project_id, headers.get('X-Forwarded-For'))

    def _behind_provider(self, headers: Headers) -> Asker:
        """Find the server by its address on the networks of a load-balanced provider."""
        provider_id = _required(headers, 'X-Metadata-Provider')
        address = _required(headers, 'X-Forwarded-For').split(',')[0].strip()
        if self._conf.neutron.metadata_proxy_shared_secret:
            self._check_signature(provider_id, headers.get('X-Metadata-Provider-Signature'))
        known = self._askers.get((provider_id, address))
        if known is not None and known[0] > self._clock():
            return known[1]
        try:
            port = neutron.client(self._conf).port_behind_provider(provider_id, address)
        except (exception.NotFound, exception.NeutronRefused):
            raise Refusal(404) from None
        asker = Asker(port['device_id'], port.get('tenant_id') or port['project_id'], address)
        self._askers = self._remember(self._askers, (provider_id, address), asker)
        return asker

    def _check_signature(self, signed: str, signature: str | None) -> None:
        secret = self._conf.neutron.metadata_proxy_shared_secret
        right = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if signature is None or not hmac.compare_digest(right.encode(), signature.encode()):
            LOG.warning('A metadata request for %s has a wrong signature', signed)
            raise Refusal(403, 'Invalid proxy request signature.')

    # -- what is known of them

    def _tree(self, asker: Asker) -> tree.Tree:
        """Return what a server is told; made anew when what is known of it is new."""
        data = self._data(asker.server_id)
        kept = self._trees.get(asker)
        if kept is not None and kept[0] > self._clock() and kept[1][0] == data:
            return kept[1][1]
        server = _decode(data)
        if server.project_id != asker.project_id:
            LOG.warning('Server %s is not of project %s', asker.server_id, asker.project_id)
            raise Refusal(404)
        found = tree.Tree(server, self._options, address=asker.address)
        self._trees = self._remember(self._trees, asker, (data, found))
        return found

    def _data(self, server_id: str) -> bytes:
        """Return a server, encoded; many requests at once for one are one question."""
        if not uuidutils.is_uuid_like(server_id):
            raise Refusal(404)
        return self._learner.learn(server_id, lambda: self._fetch(server_id))

    def _fetch(self, server_id: str) -> bytes:
        try:
            server = self._conductor.get_server(
                get_admin_context(), server_id, expand=['block_devices']
            )
        except exception.InstanceNotFound:
            raise Refusal(404) from None
        return msgspec.json.encode(server)

    def _remember(
        self, known: dict[K, tuple[float, V]], key: K, value: V
    ) -> dict[K, tuple[float, V]]:
        """Return what is known with one thing more, for a while, and not too much of it."""
        seconds, now = self._conf.api.metadata_cache_expiration, self._clock()
        with self._lock:
            if len(known) >= MOST_REMEMBERED:
                fresh = {k: v for k, v in known.items() if v[0] > now}
                known = fresh if len(fresh) < MOST_REMEMBERED else {}
            if seconds:
                known[key] = (now + seconds, value)
        return known


def _path(request: webob.Request) -> str:
    try:
        path = posixpath.normpath('/' + request.path_info)
    except UnicodeDecodeError:
        raise Refusal(404) from None
    # normpath keeps two leading slashes, which have no meaning here.
    return '/' + path.lstrip('/')


def _password(request: webob.Request) -> str:
    try:
        content = request.body_file.read(password.MOST + 1)
    except (OSError, ValueError):  # cut off, or of a length or in chunks that are none
        raise Refusal(400, 'The body cannot be read.') from None
    if len(content) > password.MOST:
        raise Refusal(400, 'Request is too large.')
    try:
        return str(content.decode())
    except UnicodeDecodeError:
        raise Refusal(400, 'The password is not text.') from None


def _required(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if not value:
        raise Refusal(400, f'{name} header is missing from request.')
    return str(value)
