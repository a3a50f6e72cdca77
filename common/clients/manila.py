"""Manila, API version 2: shares, who may use them, and locks that keep them from being deleted."""

from typing import Any

import requests
from keystoneauth1 import adapter as ks_adapter
from oslo_config import cfg

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.clients import keystone

Json = dict[str, Any]

# Locks of resources came with it.
VERSION = {'X-OpenStack-Manila-API-Version': '2.82'}


def client(conf: cfg.ConfigOpts, context: ctx.RequestContext | None = None) -> 'Manila':
    """Return a client that speaks as the user, or without a context as the service."""
    return Manila(keystone.adapter(conf, 'manila', context))


class Manila:
    """One identity's view of Manila."""

    def __init__(self, adapter: ks_adapter.Adapter) -> None:
        self._adapter = adapter

    def show_share(self, share_id: str) -> Json:
        """Raises ShareNotFound."""
        answer = self._ask('GET', f'/shares/{share_id}')
        if answer.status_code in (400, 403, 404):
            raise exception.ShareNotFound(share_id=share_id)
        found: Json = self._content(answer, 'share')
        return found

    def export_location(self, share_id: str) -> str:
        """Return the preferred one.  Raises ShareMissingExportLocation."""
        answer = self._ask('GET', f'/shares/{share_id}/export_locations')
        if answer.status_code in (403, 404):
            raise exception.ShareMissingExportLocation(share_id=share_id)
        found: list[Json] = self._content(answer, 'export_locations', keystone.Jsons)
        found.sort(key=lambda one: not one.get('preferred'))
        if not found:
            raise exception.ShareMissingExportLocation(share_id=share_id)
        return str(found[0]['path'])

    # -- who may use a share

    def find_access(self, share_id: str, kind: str, to: str) -> Json | None:
        """Return the rule that lets somebody use a share."""
        answer = self._ask('GET', '/share-access-rules', params={'share_id': share_id})
        if answer.status_code == 404:
            return None
        rules: list[Json] = self._content(answer, 'access_list', keystone.Jsons)
        for rule in rules:
            if (rule['access_type'], rule['access_to']) == (kind, to):
                return rule
        return None

    def allow(self, share_id: str, kind: str, to: str) -> None:
        """Let somebody read and write; the rule becomes 'active' some time later."""
        body = {'access_type': kind, 'access_to': to, 'access_level': 'rw'}
        self._act(share_id, 'allow_access', body)

    def deny(self, share_id: str, access_id: str) -> None:
        """Take a rule away; no error when it or the share is gone."""
        self._act(share_id, 'deny_access', {'access_id': access_id, 'unrestrict': True}, gone=True)

    # -- locks

    def lock(self, share_id: str, reason: str) -> None:
        """Keep a share from being deleted; once for each reason."""
        if self._locks(share_id, reason):
            return
        lock = {
            'resource_id': share_id,
            'resource_type': 'share',
            'resource_action': 'delete',
            'lock_reason': reason,
        }
        answer = self._ask('POST', '/resource-locks', json={'resource_lock': lock})
        if answer.status_code != 200:
            raise exception.ShareLockError(share_id=share_id, reason=_reason(answer))

    def unlock(self, share_id: str, reason: str) -> None:
        """Take such a lock away; no error when there is none."""
        for lock in self._locks(share_id, reason):
            answer = self._ask('DELETE', f'/resource-locks/{lock["id"]}')
            if answer.status_code not in (204, 404):
                raise exception.ShareLockError(share_id=share_id, reason=_reason(answer))

    def _locks(self, share_id: str, reason: str) -> list[Json]:
        query = {'resource_id': share_id, 'lock_reason': reason}
        answer = self._ask('GET', '/resource-locks', params=query)
        found: list[Json] = self._content(answer, 'resource_locks', keystone.Jsons)
        return [lock for lock in found if lock.get('lock_reason') == reason]

    # -- asking

    def _act(self, share_id: str, action: str, body: Json, gone: bool = False) -> None:
        answer = self._ask('POST', f'/shares/{share_id}/action', json={action: body})
        if answer.status_code == 404 and gone:
            return
        if answer.status_code not in (200, 202):
            raise exception.ShareAccessError(share_id=share_id, reason=_reason(answer))

    def _ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        return keystone.request(self._adapter, method, path, headers=VERSION, **kwargs)

    def _content(self, answer: requests.Response, key: str, kind: Any = Json) -> Any:
        if answer.status_code != 200:
            raise exception.FellowServiceError(
                service=self._adapter.service_type, reason=_reason(answer)
            )
        return keystone.content(self._adapter, answer, key, kind)


def _reason(answer: requests.Response) -> str:
    return f'HTTP {answer.status_code}'
