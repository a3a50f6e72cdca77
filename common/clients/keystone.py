"""Sessions and adapters for the fellow services, and one way to ask them.

An adapter belongs to a section of nova.conf (``placement``, ``neutron``, ``glance``,
``cinder``), which has keystoneauth's options.  With a context it speaks as the user,
without one as the service.
"""

from typing import Any

import msgspec
import requests
from keystoneauth1 import adapter as ks_adapter
from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import loading as ks
from keystoneauth1 import plugin, service_token
from keystoneauth1 import session as ks_session
from keystoneauth1.access import service_catalog
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import context as ctx
from kilonova.common import exception

LOG = logging.getLogger(__name__)

# A service that does not answer at all must not hold a request for ever; [section]timeout overrides.
DEFAULT_TIMEOUT = 60.0


class _UserAuth(plugin.BaseAuthPlugin):
    """The user's token, with the catalog that came with it."""

    def __init__(self, context: ctx.RequestContext, fallback: plugin.BaseAuthPlugin | None) -> None:
        super().__init__()
        self._token = context.auth_token
        self._catalog = service_catalog.ServiceCatalogV2(context.service_catalog)
        self._fallback = fallback

    def get_token(self, session: ks_session.Session, **kwargs: Any) -> str | None:
        return self._token

    def get_endpoint(self, session: ks_session.Session, **kwargs: Any) -> str | None:
        interfaces = kwargs.get('interface') or ['internal', 'public']
        for interface in [interfaces] if isinstance(interfaces, str) else interfaces:
            urls = self._catalog.get_urls(
                service_type=kwargs.get('service_type'),
                service_name=kwargs.get('service_name'),
                interface=interface,
                region_name=kwargs.get('region_name'),
            )
            if urls:
                return urls[0]
        if self._fallback is not None:
            return self._fallback.get_endpoint(session, **kwargs)
        return None


class _Section:
    """What was loaded from one section: the session and the service's own identity."""

    def __init__(self, conf: cfg.ConfigOpts, group: str) -> None:
        self.conf, self.group = conf, group
        self.auth = _load_auth(conf, group)
        self.session = ks.load_session_from_conf_options(conf, group, auth=self.auth)
        if self.session.timeout is None:
            self.session.timeout = DEFAULT_TIMEOUT
        self.service_auth = _load_auth(conf, 'service_user') if _wants_service_token(conf) else None


def _wants_service_token(conf: cfg.ConfigOpts) -> bool:
    return bool(conf.service_user.send_service_user_token)


def _load_auth(conf: cfg.ConfigOpts, group: str) -> plugin.BaseAuthPlugin | None:
    """Load the section's own identity, else that of ``[service_user]``."""
    for section in (group, 'service_user'):
        auth = ks.load_auth_from_conf_options(conf, section)
        if auth is not None:
            return auth
    return None


_sections: dict[tuple[int, str], _Section] = {}


def forget() -> None:
    """Load all sections anew when they are next asked for (the configuration has changed)."""
    _sections.clear()


def _section(conf: cfg.ConfigOpts, group: str) -> _Section:
    key = (id(conf), group)
    section = _sections.get(key)
    if section is None or section.conf is not conf:
        section = _sections[key] = _Section(conf, group)
    return section


def identity(
    conf: cfg.ConfigOpts,
    group: str,
    context: ctx.RequestContext | None = None,
    *,
    doubly: bool = False,
) -> tuple[ks_session.Session, plugin.BaseAuthPlugin | None]:
    """Return the session of ``[group]``, and who speaks: the user (with a token), or the service.

    ``doubly``: the service sends its service token, too; some rights hang on that one alone.
    """
    section = _section(conf, group)
    as_user = context is not None and context.auth_token
    auth = _UserAuth(context, section.auth) if context and as_user else section.auth
    if auth is not None and section.service_auth is not None and (as_user or doubly):
        auth = service_token.ServiceTokenAuthWrapper(
            user_auth=auth, service_auth=section.service_auth
        )
    return section.session, auth


def adapter(
    conf: cfg.ConfigOpts, group: str, context: ctx.RequestContext | None = None
) -> ks_adapter.Adapter:
    """Return an adapter for the service that ``[group]`` describes.

    With ``context`` (and a token in it) requests are made as that user, with our service
    token beside it where ``[service_user]send_service_user_token`` says so.
    """
    session, auth = identity(conf, group, context)
    more = {}
    if context is not None and context.auth_token:
        more['global_request_id'] = context.global_id
    return ks.load_adapter_from_conf_options(conf, group, session=session, auth=auth, **more)


def identity_path(client: ks_adapter.Adapter, path: str) -> str:
    """Return a path of Keystone's API; the catalog may or may not name the version."""
    endpoint = (client.get_endpoint() or '').rstrip('/')
    return path if endpoint.endswith('/v3') else f'/v3{path}'


def request(client: ks_adapter.Adapter, method: str, path: str, **kwargs: Any) -> requests.Response:
    """Send one request; 2xx, 3xx and 4xx are returned for the caller to map.

    Raises FellowServiceError, with the service's type, when there is no usable answer.
    """
    try:
        response = client.request(path, method, raise_exc=False, **kwargs)
    except ks_exceptions.ClientException as error:
        LOG.warning('%s %s at %s failed: %s', method, path, client.service_type, error)
        raise exception.FellowServiceError(
            service=client.service_type, reason=type(error).__name__
        ) from error
    if response.status_code >= 500:
        LOG.warning(
            '%s %s at %s answered %s', method, path, client.service_type, response.status_code
        )
        raise exception.FellowServiceError(
            service=client.service_type, reason=f'HTTP {response.status_code}'
        )
    return response


Json = dict[str, Any]
Jsons = list[Json]


def content(
    client: ks_adapter.Adapter, response: requests.Response, key: str, kind: Any = Json
) -> Any:
    """Return one part of an answer's JSON object, which is of a kind: a type that msgspec knows.

    Raises FellowServiceError when it is not: something else answered in the service's place.
    """
    try:
        return msgspec.convert(response.json()[key], kind)
    except (ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        LOG.warning('%s answered what it never says: %.200s', client.service_type, response.text)
        raise exception.FellowServiceError(
            service=client.service_type, reason='an answer without ' + key
        ) from error
