"""Version documents: ``/``, ``/v2``, ``/v2.1``; and 300 for what is under no version."""

from collections.abc import Iterable
from typing import Any

import msgspec
import webob
from oslo_config import cfg

from kilonova.api import operation, params, versions
from kilonova.api.operation import operation as declare
from kilonova.api.request import Request

# id -> (path, status, newest, oldest, media type's version, when it last changed)
_KNOWN = {
    'v2.0': ('v2', 'DEPRECATED', '', '', '2', '2025-07-04T12:00:00Z'),
    'v2.1': (
        'v2.1',
        'CURRENT',
        str(versions.MAX),
        str(versions.MIN),
        '2.1',
        '2013-07-23T11:33:21Z',
    ),
}


def _link(base: str, path: str, rest: str = '/') -> dict[str, str]:
    return {'rel': 'self', 'href': f'{base}/{path}{rest}'}


def _media_types(version: str) -> list[dict[str, str]]:
    kind = f'application/vnd.openstack.compute+json;version={version}'
    return [{'base': 'application/json', 'type': kind}]


def brief(base: str, identifier: str) -> dict[str, Any]:
    """One entry of the list at ``/``."""
    path, status, newest, oldest, _media, updated = _KNOWN[identifier]
    return {
        'id': identifier,
        'status': status,
        'version': newest,
        'min_version': oldest,
        'updated': updated,
        'links': [_link(base, path)],
    }


def full(base: str, identifier: str) -> dict[str, Any]:
    """The document of one version."""
    document = brief(base, identifier)
    document['links'].append(
        {'rel': 'describedby', 'type': 'text/html', 'href': 'http://docs.openstack.org/'}
    )
    document['media-types'] = _media_types(_KNOWN[identifier][4])
    return document


def _choice(base: str, identifier: str, path: str) -> dict[str, Any]:
    where, status, _newest, _oldest, media, _updated = _KNOWN[identifier]
    return {
        'id': identifier,
        'status': status,
        'links': [_link(base, where, path)],
        'media-types': _media_types(media),
    }


def _respond(status: int, document: dict[str, Any]) -> webob.Response:
    return webob.Response(
        status=status,
        body=msgspec.json.encode(document),
        content_type='application/json',
        charset=None,
    )


class Root:
    """``/`` lists the versions; any other path gets the choice between them."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        http = webob.Request(environ)
        base = params.endpoint(http.application_url, self._conf)
        try:
            path = http.path_info
        except UnicodeDecodeError:
            path = '/'
        if path in ('', '/'):
            answer = _respond(200, {'versions': [brief(base, name) for name in _KNOWN]})
        else:
            choices = [_choice(base, name, path) for name in _KNOWN]
            answer = _respond(300, {'choices': choices})
        return answer(environ, start_response)


class One:
    """The document of one version, told to anyone."""

    def __init__(self, conf: cfg.ConfigOpts, identifier: str) -> None:
        self._conf = conf
        self._identifier = identifier

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        http = webob.Request(environ)
        # The last segment of our own URL is the version itself.
        base = params.endpoint(http.application_url, self._conf).rpartition('/')[0]
        answer = _respond(200, {'version': full(base, self._identifier)})
        if self._identifier == 'v2.1':
            version = versions.negotiate(http.headers)
            answer.headerlist.extend(versions.response_headers(version))
        return answer(environ, start_response)


@declare('GET', '/versions/{identifier}')
def show(request: Request, identifier: str) -> dict[str, Any]:
    """Show an API version."""
    if identifier not in _KNOWN:
        raise operation.not_found()
    base = params.endpoint(request.http.application_url, request.conf).rpartition('/')[0]
    return {'version': full(base, identifier)}
