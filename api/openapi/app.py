"""``GET /openapi.json``: told to anyone, like the list of versions."""

from collections.abc import Iterable
from typing import Any

import webob

from kilonova.api import faults
from kilonova.api.openapi import document


class OpenApi:
    """The document; it is made when it is first asked for."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ['REQUEST_METHOD'] not in ('GET', 'HEAD'):
            raise faults.Fault(
                405, 'The method specified is not allowed for this resource.', [('Allow', 'GET')]
            )
        answer = webob.Response(
            body=document.encoded(),
            content_type='application/json',
            charset=None,
            conditional_response=True,
        )
        answer.md5_etag()
        return answer(environ, start_response)
