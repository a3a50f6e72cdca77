"""Cinder, API version 3: volumes, snapshots, and the attachments that reserve and connect them.

``client`` speaks as the user (with a token in the context) or as the service.  Volumes and
snapshots are Cinder's own JSON objects.  An attachment reserves its volume when it is
created, connects it to a host when it is updated with the host's connector, and makes it
``in-use`` when it is completed.
"""

import re
from typing import Any

import requests
from keystoneauth1 import adapter as ks_adapter
from keystoneauth1 import exceptions as ks_exceptions
from oslo_config import cfg
from oslo_utils import uuidutils

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.clients import keystone

Json = dict[str, Any]

ATTACHMENTS = '3.44'
REIMAGE = '3.68'
EXTEND_COMPLETION = '3.71'


def client(conf: cfg.ConfigOpts, context: ctx.RequestContext | None = None) -> 'Cinder':
    """Return a client that speaks as the user, or without a user's token as the service."""
    # Cinder lets nobody but a service delete the attachment of a running server.
    session, auth = keystone.identity(conf, 'cinder', context, doubly=True)
    service_type, service_name, interface = conf.cinder.catalog_info.split(':', 2)
    adapter = ks_adapter.Adapter(
        session=session,
        auth=auth,
        service_type=service_type,
        service_name=service_name or None,
        interface=interface.removesuffix('URL'),
        region_name=conf.cinder.os_region_name,
        endpoint_override=conf.cinder.endpoint_template,
        connect_retries=conf.cinder.http_retries,
        global_request_id=context.global_id if context else None,
    )
    if context is not None and context.auth_token and context.project_id:
        adapter.endpoint_override = _of_project(adapter, context.project_id)
    return Cinder(adapter)


def _of_project(adapter: ks_adapter.Adapter, project_id: str) -> str | None:
    """Return Cinder's URL for a project: a catalog may have that of our own."""
    template = adapter.endpoint_override
    if template:
        return template.replace('%(project_id)s', project_id).replace('%(tenant_id)s', project_id)
    try:
        url = adapter.get_endpoint()
    except ks_exceptions.ClientException as error:
        raise exception.FellowServiceError(
            service=adapter.service_type, reason=type(error).__name__
        ) from error
    return re.sub(r'(/v3)/[^/]+/?$', rf'\1/{project_id}', url) if url else None


class Cinder:
    """One identity's view of Cinder."""

    def __init__(self, adapter: ks_adapter.Adapter) -> None:
        self._adapter = adapter

    def newest(self) -> tuple[int, int] | None:
        """Return the newest microversion; None: this is no Cinder that has any."""
        try:
            endpoint = self._adapter.get_endpoint() or ''
        except ks_exceptions.ClientException as error:
            raise exception.FellowServiceError(
                service='volume', reason=type(error).__name__
            ) from error
        root = re.sub(r'/v3(/.*)?$', '/', endpoint)
        answer = keystone.request(self._adapter, 'GET', root)
        if answer.status_code not in (200, 300):
            return None
        known = keystone.content(self._adapter, answer, 'versions', keystone.Jsons)
        newest = [one['version'].split('.') for one in known if one.get('version')]
        return max(((int(major), int(minor)) for major, minor in newest), default=None)

    # -- volumes

    def show_volume(self, volume_id: str) -> Json:
        """Raises VolumeNotFound."""
        return self._show('volumes', volume_id, exception.VolumeNotFound(volume_id=volume_id))

    def list_volumes(self, **filters: Any) -> list[Json]:
        """Return volumes with all their details."""
        return self._list('volumes', **filters)

    def create_volume(self, size: int, **fields: Any) -> Json:
        """Begin to create a volume; fields that are None are left out."""
        body = {'size': size, **_given(fields)}
        created: Json = self._ask('POST', '/volumes', 202, 'volume', json={'volume': body})
        return created

    def delete_volume(self, volume_id: str) -> None:
        """Begin to delete.  Raises VolumeNotFound, InvalidInput (it is in use, or has snapshots)."""
        self._one('DELETE', 'volumes', volume_id, exception.VolumeNotFound(volume_id=volume_id))

    def volume_type(self, name_or_id: str) -> Json:
        """Return a type by id or name.  Raises VolumeTypeNotFound."""
        for found in self._pages('types', {}, 'volume_types'):
            if name_or_id in (found['id'], found['name']):
                return found
        raise exception.VolumeTypeNotFound(id_or_name=name_or_id)

    def begin_detaching(self, volume_id: str) -> None:
        """Mark an attached volume as being detached.  Raises InvalidInput when it is not attached."""
        self._act(volume_id, 'os-begin_detaching')

    def roll_detaching(self, volume_id: str) -> None:
        """Take ``begin_detaching`` back."""
        self._act(volume_id, 'os-roll_detaching')

    def finish_swap(self, old_id: str, new_id: str, error: bool) -> str:
        """Say that a swap has ended; returns the id under which the new volume goes on."""
        body = {'new_volume': new_id, 'error': error}
        answer = self._act(old_id, 'os-migrate_volume_completion', body, (200, 202))
        found: str = keystone.content(self._adapter, answer, 'save_volume_id', str)
        return found

    def reimage(self, volume_id: str, image_id: str) -> None:
        """Begin to write an image to a volume that is reserved; an external event tells the end."""
        body = {'image_id': image_id, 'reimage_reserved': True}
        self._act(volume_id, 'os-reimage', body, version=REIMAGE)

    def finish_extend(self, volume_id: str, error: bool) -> None:
        """Tell whether the host could use a volume's new size."""
        self._act(
            volume_id, 'os-extend_volume_completion', {'error': error}, version=EXTEND_COMPLETION
        )

    def _act(
        self,
        volume_id: str,
        action: str,
        body: Json | None = None,
        expected: tuple[int, ...] = (202,),
        version: str = ATTACHMENTS,
    ) -> requests.Response:
        missing = exception.VolumeNotFound(volume_id=volume_id)
        path = f'/volumes/{_checked(volume_id, missing)}/action'
        answer = self._request('POST', path, version=version, json={action: body})
        return _expect(answer, expected, missing)

    # -- snapshots

    def show_snapshot(self, snapshot_id: str) -> Json:
        """Raises SnapshotNotFound."""
        missing = exception.SnapshotNotFound(snapshot_id=snapshot_id)
        return self._show('snapshots', snapshot_id, missing)

    def list_snapshots(self, **filters: Any) -> list[Json]:
        return self._list('snapshots', **filters)

    def create_snapshot(
        self, volume_id: str, name: str | None, description: str | None, force: bool
    ) -> Json:
        """Begin to make a snapshot; ``force``: also of a volume that is in use.

        Raises VolumeNotFound, InvalidInput.
        """
        body = {'volume_id': volume_id, 'force': force, 'name': name, 'description': description}
        missing = exception.VolumeNotFound(volume_id=volume_id)
        created: Json = self._ask(
            'POST', '/snapshots', 202, 'snapshot', missing, json={'snapshot': body}
        )
        return created

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Raises SnapshotNotFound."""
        missing = exception.SnapshotNotFound(snapshot_id=snapshot_id)
        self._one('DELETE', 'snapshots', snapshot_id, missing)

    def update_snapshot_status(self, snapshot_id: str, status: str, progress: str) -> None:
        """Tell how far a host is with an assisted snapshot."""
        missing = exception.SnapshotNotFound(snapshot_id=snapshot_id)
        path = f'/snapshots/{_checked(snapshot_id, missing)}/action'
        body = {'os-update_snapshot_status': {'status': status, 'progress': progress}}
        _expect(self._request('POST', path, json=body), (202,), missing)

    # -- attachments

    def create_attachment(self, volume_id: str, server_uuid: str) -> str:
        """Reserve a volume for a server; returns the attachment's id.

        Raises VolumeNotFound, InvalidInput (the volume is taken).
        """
        return str(self.connect(volume_id, server_uuid, None)['id'])

    def connect(self, volume_id: str, server_uuid: str, connector: Json | None) -> Json:
        """Create an attachment that is connected to a host at once, where there is a connector.

        There is no other way for a volume that is connected elsewhere, too: Cinder refuses to
        update its attachments.
        """
        body = {'volume_uuid': volume_id, 'instance_uuid': server_uuid, 'connector': connector}
        missing = exception.VolumeNotFound(volume_id=volume_id)
        created: Json = self._ask(
            'POST', '/attachments', 200, 'attachment', missing, json={'attachment': body}
        )
        return created

    def update_attachment(self, attachment_id: str, connector: Json) -> Json:
        """Connect a volume to a host; returns what the host needs to reach it (connection_info)."""
        missing = exception.VolumeAttachmentNotFound(attachment_id=attachment_id)
        updated: Json = self._ask(
            'PUT',
            f'/attachments/{_checked(attachment_id, missing)}',
            200,
            'attachment',
            missing,
            json={'attachment': {'connector': connector}},
        )
        info: Json = updated['connection_info']
        return info

    def show_encryption(self, volume_id: str) -> Json:
        """Return how a volume is encrypted: ``provider``, ``encryption_key_id`` …"""
        missing = exception.VolumeNotFound(volume_id=volume_id)
        path = f'/volumes/{_checked(volume_id, missing)}/encryption'
        found: Json = _expect(self._request('GET', path), (200,), missing).json()
        return found

    def complete_attachment(self, attachment_id: str) -> None:
        """Say that the guest has the volume.  Raises VolumeAttachmentNotFound."""
        missing = exception.VolumeAttachmentNotFound(attachment_id=attachment_id)
        path = f'/attachments/{_checked(attachment_id, missing)}/action'
        _expect(self._request('POST', path, json={'os-complete': attachment_id}), (204,), missing)

    def show_attachment(self, attachment_id: str) -> Json:
        """Raises VolumeAttachmentNotFound."""
        missing = exception.VolumeAttachmentNotFound(attachment_id=attachment_id)
        return self._show('attachments', attachment_id, missing)

    def delete_attachment(self, attachment_id: str) -> None:
        """Let go of a volume.  Raises VolumeAttachmentNotFound."""
        missing = exception.VolumeAttachmentNotFound(attachment_id=attachment_id)
        self._one('DELETE', 'attachments', attachment_id, missing, (200, 202))

    def attachments_of(self, server_uuid: str) -> list[Json]:
        """Return all attachments of a server, whichever project's."""
        return self._list('attachments', instance_id=server_uuid, all_tenants=1)

    # -- how it is asked

    def _request(
        self, method: str, path: str, version: str = ATTACHMENTS, **kwargs: Any
    ) -> requests.Response:
        headers = {'OpenStack-API-Version': f'volume {version}'}
        return keystone.request(self._adapter, method, path, headers=headers, **kwargs)

    def _ask(
        self,
        method: str,
        path: str,
        expected: int,
        key: str,
        missing: exception.NotFound | None = None,
        **kwargs: Any,
    ) -> Any:
        answer = _expect(self._request(method, path, **kwargs), (expected,), missing)
        return keystone.content(self._adapter, answer, key)

    def _show(self, resource: str, thing: str, missing: exception.NotFound) -> Json:
        path = f'/{resource}/{_checked(thing, missing)}'
        shown: Json = self._ask('GET', path, 200, resource[:-1], missing)
        return shown

    def _one(
        self,
        method: str,
        resource: str,
        thing: str,
        missing: exception.NotFound,
        expected: tuple[int, ...] = (202,),
    ) -> None:
        answer = self._request(method, f'/{resource}/{_checked(thing, missing)}')
        _expect(answer, expected, missing)

    def _list(self, resource: str, **filters: Any) -> list[Json]:
        return self._pages(f'{resource}/detail', filters, resource)

    def _pages(self, path: str, query: Json, key: str) -> list[Json]:
        found: list[Json] = []
        while True:
            answer = _expect(self._request('GET', f'/{path}', params=query), (200,), None)
            page = keystone.content(self._adapter, answer, key, keystone.Jsons)
            found += page
            links = answer.json().get(f'{key}_links', [])
            if not page or not any(link.get('rel') == 'next' for link in links):
                return found
            query = {**query, 'marker': page[-1]['id']}


def _given(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _checked(thing: str, missing: exception.NotFound) -> str:
    """Refuse what is no id: it becomes part of a URL."""
    if not uuidutils.is_uuid_like(thing):
        raise missing
    return thing


def _expect(
    answer: requests.Response, expected: tuple[int, ...], missing: exception.NotFound | None
) -> requests.Response:
    """Return an answer that is as it should be.

    Raises ``missing`` (or NotFound) for a 404, and InvalidInput, Forbidden, FellowServiceError.
    """
    status = answer.status_code
    if status in expected:
        return answer
    if status == 404 and missing is not None:
        raise missing
    reason = _message(answer)
    if status == 404:
        raise exception.NotFound(reason)
    if status in (400, 409):
        raise exception.InvalidInput(reason=reason)
    if status in (403, 413):
        # Over quota is 413.
        raise exception.Forbidden(reason)
    raise exception.FellowServiceError(service='volume', reason=f'HTTP {status}')


def _message(answer: requests.Response) -> str:
    """Return the message of one of Cinder's faults."""
    try:
        ((_name, fault),) = answer.json().items()
        return str(fault['message'])
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.text[:200] or f'HTTP {answer.status_code}'
