"""Nova's published examples as requests to a cloud that is in the state that they presume."""

import dataclasses
from typing import Any

from kilonova.api.operation import Operation
from kilonova.api.versions import Version
from kilonova.tests.functional import (
    compare,
    moved_states,
    proxied_states,
    routes,
    samples,
    states,
    volume_states,
)
from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.samples import Sample
from kilonova.tests.functional.states import World
from kilonova.tests.functional.test_route_table import LIVE, OURS
from kilonova.tests.unit.api.reference import Key

CLOUD: dict[str, Any] = {'hosts': 2, 'extra': moved_states.CONF}

for module in (proxied_states, moved_states, volume_states):
    states.PREPARE.update(module.PREPARE)
ROWS = {row.key: row for row in LIVE}
WRITTEN = [one for one in samples.SAMPLES if one.key in ROWS]


def operation_of(key: Key, version: Version) -> Operation:
    """Return ours for a row of the table of routes."""
    return next(one for one in OURS[ROWS[key].shaped] if one.serves(version))


@dataclasses.dataclass
class Example:
    """One request, which can be sent."""

    method: str
    path: str
    body: Any
    token: str
    version: str

    @classmethod
    def prepared(cls, world: World, sample: Sample, version: Version) -> 'Example':
        """Bring the cloud into the state; returns what to send to it then."""
        ready = world.ready(sample.state, version)
        one = operation_of(sample.key, version)
        body = samples.at(sample.request, version)
        if body is None:
            body = routes.bodies(world.things).get((one.method, one.path, one.action))
        else:
            body = compare.fill(body, world.things, ready.words)
        path = one.path.format(**ready.path) + sample.query.format(**ready.path)
        by_member = f'{sample.answer}@{version}' in samples.SEEN_BY_MEMBERS
        token = states.MEMBER if by_member else ready.token
        return cls(one.method, path, body, token, str(version))

    def send(self, cloud: Cloud) -> Answer:
        return cloud.call(self.method, self.path, self.body, token=self.token, version=self.version)
