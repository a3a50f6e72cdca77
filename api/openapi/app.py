"""``GET /openapi.json``: told to anyone, like the list of versions."""

from collections.abc import Iterable
from typing import Any

import webob
from oslo_config import cfg

from kilonova.api import faults, params
from kilonova.api.openapi import document


class OpenApi:
    """The document; it is made when it is first asked for."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ['REQUEST_METHOD'] not in ('GET', 'HEAD'):
            raise faults.Fault(
                405, 'The method specified is not allowed for this resource.', [('Allow', 'GET')]
            )
        http = webob.Request(environ)
        # The last segment of our own URL is the document itself.
        base = params.endpoint(http.application_url, self._conf).rpartition('/')[0]
        answer = webob.Response(
            body=document.encoded(base),
            content_type='application/json',
            charset=None,
            conditional_response=True,
        )
        answer.md5_etag()
        return answer(environ, start_response)
