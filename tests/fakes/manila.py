"""A file system service: shares are made by the test, access rules and locks over HTTP."""

import uuid
from typing import Any

from kilonova.tests.fakes.server import Answer, FakeService, route


class FakeManila(FakeService):
    """Manila v2 as far as it is asked.  ``access_state`` is what new rules end in."""

    def __init__(self) -> None:
        self.shares: dict[str, dict[str, Any]] = {}
        self.access: dict[str, dict[str, Any]] = {}
        self.locks: dict[str, dict[str, Any]] = {}
        self.access_state = 'active'
        super().__init__()

    def add(self, status: str = 'available', share_proto: str = 'NFS', exports: int = 1) -> str:
        """Add a share; returns its id."""
        share_id = str(uuid.uuid4())
        self.shares[share_id] = {
            'id': share_id,
            'status': status,
            'share_proto': share_proto,
            'exports': [
                {'path': f'10.0.0.{number}:/mnt/{share_id}', 'preferred': number == exports}
                for number in range(1, exports + 1)
            ],
        }
        return share_id

    @route('GET', '/')
    def versions(self, **_: Any) -> Answer:
        return self.describe('v2.0', '/v2/', version='2.82', min_version='2.0')

    @route('GET', '/v2/shares/{share_id}')
    def show(self, share_id: str, **_: Any) -> Answer:
        share = self.shares.get(share_id)
        return (200, {'share': share}) if share else _missing()

    @route('GET', '/v2/shares/{share_id}/export_locations')
    def exports(self, share_id: str, **_: Any) -> Answer:
        share = self.shares.get(share_id)
        return (200, {'export_locations': share['exports']}) if share else _missing()

    @route('POST', '/v2/shares/{share_id}/action')
    def act(self, share_id: str, body: dict[str, Any], **_: Any) -> Answer:
        if share_id not in self.shares:
            return _missing()
        if 'deny_access' in body:
            rule = self.access.pop(body['deny_access']['access_id'], None)
            return (202, None) if rule else _missing()
        wanted = body['allow_access']
        same = [rule for rule in self.access.values() if rule['share_id'] == share_id
                and rule['access_to'] == wanted['access_to']]  # fmt: skip
        if same:
            return 400, {'badRequest': {'message': 'Share access exists.'}}
        made = {'id': str(uuid.uuid4()), 'share_id': share_id, 'state': self.access_state, **wanted}
        self.access[made['id']] = made
        return 200, {'access': made}

    @route('GET', '/v2/share-access-rules')
    def rules(self, query: dict[str, list[str]], **_: Any) -> Answer:
        (share_id,) = query['share_id']
        found = [rule for rule in self.access.values() if rule['share_id'] == share_id]
        return 200, {'access_list': found}

    @route('GET', '/v2/resource-locks')
    def list_locks(self, query: dict[str, list[str]], **_: Any) -> Answer:
        wanted = {name: values[0] for name, values in query.items()}
        found = [lock for lock in self.locks.values() if wanted.items() <= lock.items()]
        return 200, {'resource_locks': found}

    @route('POST', '/v2/resource-locks')
    def add_lock(self, body: dict[str, Any], **_: Any) -> Answer:
        made = {'id': str(uuid.uuid4()), **body['resource_lock']}
        self.locks[made['id']] = made
        return 200, {'resource_lock': made}

    @route('DELETE', '/v2/resource-locks/{lock_id}')
    def remove_lock(self, lock_id: str, **_: Any) -> Answer:
        return (204, None) if self.locks.pop(lock_id, None) else _missing()


def _missing() -> Answer:
    return 404, {'itemNotFound': {'code': 404, 'message': 'not there'}}
