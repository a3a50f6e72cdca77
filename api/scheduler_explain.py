"""Why servers would go where they would go.  No part of Nova's API: it has a prefix of its own."""

from typing import Any

import msgspec

from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN
from kilonova.api.request import Request
from kilonova.api.servers import create, create_schema

PATH = '/kilonova/scheduler-explain'
RULE = 'kilonova:scheduler:explain'

Json = dict[str, Any]


def explain(request: Request, body: Json) -> Json:
    """Say which hosts the servers of a create request would get and why; nothing is created."""
    wanted = create.read(request, body)
    with create.body_mistakes():
        found = request.conductor.explain_servers(request.context, wanted)
    answer: Json = msgspec.to_builtins(found)
    return {'explanation': answer}


for _since, _until in create_schema.RANGES:
    if _since != '2.0':
        operation(
            'POST',
            PATH,
            since=_since,
            until=_until,
            rule=RULE,
            check=ADMIN,
            body=create_schema.body(int(_since.split('.')[1])),
        )(explain)
