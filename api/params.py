"""Shared pieces of schemas, paging and links."""

import urllib.parse
from typing import Any

from oslo_config import cfg

from kilonova.api.request import Request
from kilonova.api.schema import ByVersion

Schema = dict[str, Any]


def obj(
    properties: Schema, required: list[str] | None = None, *, more: bool | Schema = False, **kw: Any
) -> Schema:
    """An object; ``more``: what keys beside the named ones may hold."""
    schema = {'type': 'object', 'properties': properties, 'additionalProperties': more, **kw}
    if required:
        schema['required'] = required
    return schema


def array(items: Schema, **kw: Any) -> Schema:
    return {'type': 'array', 'items': items, **kw}


def values(schema: Schema) -> Schema:
    """A query parameter: however often it comes, each value fits."""
    return array(schema)


def single(schema: Schema) -> Schema:
    """A query parameter that comes once."""
    return array(schema, maxItems=1)


def wrapped(key: str, schema: Schema) -> Schema:
    """A body with one key."""
    return obj({key: schema}, [key])


STRING: Schema = {'type': 'string'}
NAME: Schema = {'type': 'string', 'minLength': 1, 'maxLength': 255, 'format': 'name'}
PADDED_NAME: Schema = {
    'type': 'string',
    'minLength': 1,
    'maxLength': 255,
    'format': 'name_with_leading_trailing_spaces',
}
UUID: Schema = {'type': 'string', 'format': 'uuid'}
BOOLEAN: Schema = {
    'type': ['boolean', 'string'],
    'enum': [
        True, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes',
        False, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no',
    ],
}  # fmt: skip
NONE: Schema = {'enum': ['None', None, {}]}
NON_NEGATIVE: Schema = {
    'type': ['integer', 'string'],
    'pattern': '^[0-9]*$',
    'minimum': 0,
    'minLength': 1,
}
POSITIVE: Schema = {**NON_NEGATIVE, 'minimum': 1}
HOST: Schema = {
    'type': 'string',
    'minLength': 1,
    'maxLength': 255,
    'pattern': r'^[a-zA-Z0-9-._]*$',
}
METADATA: Schema = {
    'type': 'object',
    'patternProperties': {'^[a-zA-Z0-9-_:. ]{1,255}$': {'type': 'string', 'maxLength': 255}},
    'additionalProperties': False,
}
PAGING: Schema = {'limit': values(NON_NEGATIVE), 'marker': values(STRING)}


def query(properties: Schema, *, more: bool = True) -> Schema:
    """A query string; ``more``: unknown parameters are ignored, not refused."""
    return obj(properties, more=more)


NO_QUERY = query({}, more=False)
ANY_QUERY = query({})
QUERY_LESS = ByVersion({'2.1': ANY_QUERY, '2.102': NO_QUERY})
"""Of a resource that takes no parameters: unknown ones are refused from 2.102."""


def query_since_275(properties: Schema) -> ByVersion:
    """Parameters beside which unknown ones are refused from 2.75."""
    return ByVersion({'2.1': query(properties), '2.75': query(properties, more=False)})


def number(text: str | None) -> int:
    """Return the number of a checked parameter, 0 for none; a huge one is as good as any."""
    # int() refuses thousands of digits.
    return 10**18 if len(text or '') > 18 else int(text or 0)


def limit_and_marker(request: Request) -> tuple[int, str | None]:
    """Return how many to list at most, and after which one."""
    most: int = request.conf.api.max_limit
    asked = request.query.one('limit') or '0'
    # int() refuses thousands of digits.
    limit = int(asked) if len(asked) < 10 else most
    return min(limit or most, most), request.query.one('marker')


def window(request: Request, found: list[Any]) -> list[Any]:
    """Return the part of a whole list that ``offset`` and ``limit`` ask for."""
    limit, _marker = limit_and_marker(request)
    asked = request.query.one('offset') or '0'
    # int() refuses thousands of digits, and no list is that long.
    offset = int(asked) if len(asked) < 10 else len(found)
    return found[offset : offset + limit]


def with_prefix(url: str, prefix: str | None) -> str:
    """Put the public scheme, host and path of ``[api]*_link_prefix`` before a URL's path."""
    if not prefix:
        return url
    ours, theirs = urllib.parse.urlsplit(url), urllib.parse.urlsplit(prefix)
    path = theirs.path.rstrip('/') + ours.path
    return urllib.parse.urlunsplit((theirs.scheme, theirs.netloc, path, '', '')).rstrip('/')


def endpoint(application_url: str, conf: cfg.ConfigOpts) -> str:
    """Return our URL as clients see it."""
    return with_prefix(application_url.rstrip('/'), conf.api.compute_link_prefix)


def versioned(request: Request) -> str:
    """Return ``http://…/v2.1``, with the project's id when the request's path has it."""
    base = endpoint(request.http.application_url, request.conf)
    return f'{base}/{request.context.project_id}' if request.project_in_path else base


def unversioned(request: Request) -> str:
    """Return the same without ``/v2.1``: the base of bookmarks."""
    base = endpoint(request.http.application_url, request.conf)
    head, _slash, last = base.rpartition('/')
    base = head if last in ('v2', 'v2.1') else base
    return f'{base}/{request.context.project_id}' if request.project_in_path else base


def links(request: Request, collection: str, identifier: str) -> list[dict[str, str]]:
    """Return a resource's ``self`` and ``bookmark`` links."""
    return Links(request, collection).of(identifier)


class Links:
    """Links of many resources of one collection: the URLs are worked out once."""

    def __init__(self, request: Request, collection: str) -> None:
        self._own = f'{versioned(request)}/{collection}/'
        self._bookmark = f'{unversioned(request)}/{collection}/'

    def of(self, identifier: str) -> list[dict[str, str]]:
        return [
            {'rel': 'self', 'href': self._own + identifier},
            {'rel': 'bookmark', 'href': self._bookmark + identifier},
        ]


def next_page(request: Request, collection: str, shown: list[str]) -> list[dict[str, str]]:
    """Return the link to the next page if this one is full, else nothing."""
    limit, _marker = limit_and_marker(request)
    return next_link(request, collection, shown[-1]) if shown and len(shown) >= limit else []


def next_link(request: Request, collection: str, marker: str) -> list[dict[str, str]]:
    """Return the link to the next page: the same query with another marker."""
    query = {k: v for k, v in request.query.items() if k != 'marker'}
    text = urllib.parse.urlencode({**query, 'marker': [marker]}, doseq=True)
    return [{'rel': 'next', 'href': f'{versioned(request)}/{collection}?{text}'}]
