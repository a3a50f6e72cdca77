"""The API with fellow services that keep state and know who asks, over real HTTP."""

import itertools
from typing import Any

from keystoneauth1 import adapter, session, token_endpoint
from oslo_config import cfg

from kilonova.common.context import RequestContext
from kilonova.tests.fakes.glance import FakeGlance
from kilonova.tests.fakes.neutron import FakeNeutron
from kilonova.tests.unit.api.api import Api

TYPES = {'glance': 'image', 'neutron': 'network'}


class Fellows:
    """Glance and Neutron; requests to them carry the token of the caller."""

    def __init__(self) -> None:
        self.glance, self.neutron = FakeGlance(), FakeNeutron()

    def adapter(
        self, conf: cfg.ConfigOpts, group: str, context: RequestContext | None = None
    ) -> adapter.Adapter:
        url = getattr(self, group).url
        token = context.auth_token if context else None
        return adapter.Adapter(
            session.Session(auth=token_endpoint.Token(url, token)),
            service_type=TYPES[group],
            endpoint_override=url,
        )

    def close(self) -> None:
        self.glance.close()
        self.neutron.close()


def pages(api: Api, path: str, key: str, **kwargs: Any) -> list[list[Any]]:
    """Follow the links to the next page."""
    found = []
    for _ in itertools.count():
        body = api.get(path, **kwargs)
        found.append(body[key])
        links = body.get(f'{key}_links')
        if not links:
            return found
        path = links[0]['href'].partition('/v2.1')[2]
    raise AssertionError('not reached')
