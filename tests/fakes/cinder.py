"""A volume service: volumes, snapshots and attachments in the states that Cinder has."""

import uuid
from typing import Any

from kilonova.tests.fakes.server import Answer, Caller, FakeService, Fault, route

Json = dict[str, Any]

NOW = '2026-01-01T00:00:00.000000'
BASE = '/v3'
KINDS = ('volumes', 'snapshots', 'attachments')


class FakeCinder(FakeService):
    """Cinder v3 as far as the control plane asks it.

    A project sees its own things; the service sees all.
    """

    def __init__(self) -> None:
        self.volumes: dict[str, Json] = {}
        self.snapshots: dict[str, Json] = {}
        self.attachments: dict[str, Json] = {}
        self.types = [{'id': str(uuid.uuid4()), 'name': name} for name in ('lvm', 'fast')]
        self.quota = 1000
        self.created_status = 'available'
        """What a new volume becomes; 'creating' leaves it to the test, 'error' fails."""
        self.completions: list[tuple[str, str, bool]] = []
        """What hosts said at the end of swaps and extensions: (action, volume, error)."""
        super().__init__()

    # -- what a test sets up and looks at

    def add_volume(self, size: int = 1, project: str = 'demo', **fields: Any) -> str:
        """Add a volume that is available; returns its id."""
        volume_id = str(uuid.uuid4())
        self.volumes[volume_id] = {
            'id': volume_id,
            'name': '',
            'description': None,
            'size': size,
            'status': 'available',
            'bootable': 'false',
            'multiattach': False,
            'encrypted': False,
            'availability_zone': 'nova',
            'created_at': NOW,
            'volume_type': 'lvm',
            'snapshot_id': None,
            'metadata': {},
            'attachments': [],
            'os-vol-tenant-attr:tenant_id': project,
            **fields,
        }
        return volume_id

    def add_bootable(self, size: int = 1, project: str = 'demo', **metadata: Any) -> str:
        """Add a volume with an operating system on it."""
        metadata = {'min_disk': '0', 'min_ram': '0', 'disk_format': 'raw', **metadata}
        return self.add_volume(size, project, bootable='true', volume_image_metadata=metadata)

    def add_snapshot(self, volume_id: str, **fields: Any) -> str:
        """Add a snapshot of a volume; returns its id."""
        snapshot_id = str(uuid.uuid4())
        volume = self.volumes[volume_id]
        self.snapshots[snapshot_id] = {
            'id': snapshot_id,
            'volume_id': volume_id,
            'size': volume['size'],
            'status': 'available',
            'name': '',
            'description': None,
            'created_at': NOW,
            'metadata': {},
            'os-extended-snapshot-attributes:project_id': _project(volume),
            **fields,
        }
        return snapshot_id

    def status(self, volume_id: str) -> str:
        return str(self.volumes[volume_id]['status'])

    def attachments_of(self, server_uuid: str) -> list[Json]:
        return [a for a in self.attachments.values() if a['instance'] == server_uuid]

    # -- who asks

    def _answer(
        self, method: str, path: str, query: dict[str, list[str]], raw: bytes, caller: Caller
    ) -> Answer:
        """Render faults as Cinder does."""
        status, body = super()._answer(method, path, query, raw, caller)
        if status >= 400 and isinstance(body, dict) and 'NeutronError' in body:
            message = body['NeutronError']['message']
            name = {400: 'badRequest', 404: 'itemNotFound', 413: 'overLimit'}.get(status, 'fault')
            body = {name: {'code': status, 'message': message}}
        return status, body

    def _visible(self, thing: Json) -> bool:
        return self.caller.is_admin or _project(thing) == self.caller.project

    def _get(self, kind: str, thing_id: str) -> Json:
        found: Json | None = getattr(self, kind).get(thing_id)
        if found is None or not self._visible(found):
            raise Fault(404, f'{kind[:-1].title()} {thing_id} could not be found.')
        return found

    # -- lists

    @route('GET', '/')
    def versions(self, **_: Any) -> Answer:
        known = {'id': 'v3.0', 'status': 'CURRENT', 'version': '3.71', 'min_version': '3.0'}
        return 300, {'versions': [known]}

    @route('GET', BASE + '/limits')
    def limits(self, **_: Any) -> Answer:
        return 200, {'limits': {'rate': [], 'absolute': {'maxTotalVolumes': self.quota}}}

    @route('GET', BASE + '/types')
    def list_types(self, **_: Any) -> Answer:
        return 200, {'volume_types': self.types}

    @route('GET', BASE + '/{kind}/detail')
    def index(self, kind: str, query: dict[str, list[str]], **_: Any) -> Answer:
        if kind not in KINDS:
            raise Fault(404, 'no such collection')
        everybody = self.caller.is_admin and 'all_tenants' in query
        found = [
            thing
            for thing in getattr(self, kind).values()
            if (everybody or not self.caller.project or _project(thing) == self.caller.project)
            and _matches(thing, query)
        ]
        return 200, {kind: found}

    @route('GET', BASE + '/{kind}/{thing}')
    def show(self, kind: str, thing: str, **_: Any) -> Answer:
        if kind not in KINDS:
            raise Fault(404, 'no such collection')
        return 200, {kind[:-1]: self._get(kind, thing)}

    # -- volumes

    @route('POST', BASE + '/volumes')
    def create_volume(self, body: Any, **_: Any) -> Answer:
        asked = body['volume']
        if len(self.volumes) >= self.quota:
            raise Fault(413, 'VolumeLimitExceeded: Maximum number of volumes allowed exceeded')
        wanted_type = asked.get('volume_type')
        if wanted_type and wanted_type not in [t[k] for t in self.types for k in ('id', 'name')]:
            raise Fault(404, f'Volume type with name {wanted_type} could not be found.')
        fields: Json = {
            'name': asked.get('name', ''),
            'description': asked.get('description'),
            'metadata': asked.get('metadata') or {},
            'volume_type': wanted_type or 'lvm',
            'availability_zone': asked.get('availability_zone') or 'nova',
            'status': self.created_status,
        }
        fields |= self._source(asked)
        project = self.caller.project or 'service'
        volume = self.volumes[self.add_volume(int(asked['size']), project, **fields)]
        return 202, {'volume': volume}

    def _source(self, asked: Json) -> Json:
        """Return what a new volume has of the snapshot or image that it is made of."""
        if asked.get('snapshot_id'):
            snapshot = self._get('snapshots', asked['snapshot_id'])
            source = self.volumes[snapshot['volume_id']]
            kept = ('bootable', 'volume_image_metadata')
            return {'snapshot_id': snapshot['id']} | {k: source[k] for k in kept if k in source}
        if asked.get('imageRef'):
            metadata = {'image_id': asked['imageRef']}
            return {'bootable': 'true', 'volume_image_metadata': metadata}
        return {}

    @route('DELETE', BASE + '/volumes/{volume_id}')
    def delete_volume(self, volume_id: str, **_: Any) -> Answer:
        volume = self._get('volumes', volume_id)
        has_snapshots = any(s['volume_id'] == volume_id for s in self.snapshots.values())
        if volume['status'] not in ('available', 'error') or has_snapshots:
            raise Fault(
                400,
                'Invalid volume: Volume status must be available or error or error_restoring or '
                'error_extending or error_managing and must not be migrating, attached, belong to '
                'a group, have snapshots, awaiting a transfer, or be disassociated from snapshots '
                'after volume transfer.',
            )
        del self.volumes[volume_id]
        return 202, None

    @route('POST', BASE + '/volumes/{volume_id}/action')
    def act(self, volume_id: str, body: Any, **_: Any) -> Answer:
        volume = self._get('volumes', volume_id)
        ((action, asked),) = body.items()
        if action == 'os-begin_detaching':
            if volume['status'] != 'in-use':
                raise Fault(400, 'Invalid volume: Volume status must be in-use to begin detaching.')
            volume['status'] = 'detaching'
        elif action == 'os-roll_detaching':
            if volume['status'] == 'detaching':
                volume['status'] = 'in-use'
        elif action == 'os-reimage':
            if volume['status'] != 'reserved' or not asked['reimage_reserved']:
                raise Fault(400, 'Invalid volume: it must be reserved to be written anew.')
            volume['status'] = 'downloading'
            volume['volume_image_metadata'] = {'image_id': asked['image_id']}
        elif action == 'os-extend_volume_completion':
            self.completions.append((action, volume_id, asked['error']))
        elif action == 'os-migrate_volume_completion':
            self.completions.append((action, volume_id, asked['error']))
            return 200, {'save_volume_id': asked['new_volume']}
        else:
            raise Fault(400, f'There is no action {action}')
        return 202, None

    # -- snapshots

    @route('POST', BASE + '/snapshots')
    def create_snapshot(self, body: Any, **_: Any) -> Answer:
        asked = body['snapshot']
        volume = self._get('volumes', asked['volume_id'])
        if volume['status'] != 'available' and not asked.get('force'):
            raise Fault(400, f'Invalid volume: Volume {volume["id"]} status must be available.')
        snapshot_id = self.add_snapshot(
            volume['id'], name=asked.get('name') or '', description=asked.get('description')
        )
        return 202, {'snapshot': self.snapshots[snapshot_id]}

    @route('DELETE', BASE + '/snapshots/{snapshot_id}')
    def delete_snapshot(self, snapshot_id: str, **_: Any) -> Answer:
        self._get('snapshots', snapshot_id)
        del self.snapshots[snapshot_id]
        return 202, None

    @route('POST', BASE + '/snapshots/{snapshot_id}/action')
    def act_on_snapshot(self, snapshot_id: str, body: Any, **_: Any) -> Answer:
        snapshot = self._get('snapshots', snapshot_id)
        snapshot.update(body['os-update_snapshot_status'])
        return 202, None

    # -- attachments

    @route('POST', BASE + '/attachments')
    def create_attachment(self, body: Any, **_: Any) -> Answer:
        asked = body['attachment']
        volume, server = self._get('volumes', asked['volume_uuid']), asked['instance_uuid']
        self._reserve(volume, server)
        attachment = {
            'id': str(uuid.uuid4()),
            'volume_id': volume['id'],
            'instance': server,
            'status': 'reserved',
            'attach_mode': None,
            'connection_info': {},
            'connector': None,
            'project_id': _project(volume),
        }
        self.attachments[str(attachment['id'])] = attachment
        if asked.get('connector'):
            self._connect(attachment, asked['connector'])
        self._settle(volume)
        return 200, {'attachment': attachment}

    def _reserve(self, volume: Json, server: str) -> None:
        status, multiattach = volume['status'], volume['multiattach']
        if status in ('available', 'downloading') or (multiattach and status == 'in-use'):
            return
        same = any(
            a['volume_id'] == volume['id'] and a['instance'] == server
            for a in self.attachments.values()
        )
        if status not in ('in-use', 'reserved') or not same:
            raise Fault(
                400,
                f'Invalid volume: Volume {volume["id"]} status must be available or downloading '
                f'to reserve, but the current status is {status}.',
            )

    @route('PUT', BASE + '/attachments/{attachment_id}')
    def update_attachment(self, attachment_id: str, body: Any, **_: Any) -> Answer:
        attachment = self._get('attachments', attachment_id)
        volume = self.volumes[attachment['volume_id']]
        every = [a for a in self.attachments.values() if a['volume_id'] == volume['id']]
        connected = any(a['connection_info'] for a in every)
        if len(every) > 1 and connected and not volume['multiattach']:
            raise Fault(
                500,
                'Unable to update attachment (duplicate connectors detected on volume '
                f'{volume["id"]}).',
            )
        self._connect(attachment, body['attachment']['connector'])
        self._settle(volume)
        return 200, {'attachment': attachment}

    @staticmethod
    def _connect(attachment: Json, connector: Json) -> None:
        if not connector.get('host'):
            raise Fault(400, 'Invalid input received: the connector names no host')
        attachment |= {
            'status': 'attaching',
            'connector': connector,
            'connection_info': {
                'driver_volume_type': 'fake',
                'data': {'volume_id': attachment['volume_id'], 'host': connector['host']},
            },
        }

    @route('POST', BASE + '/attachments/{attachment_id}/action')
    def complete_attachment(self, attachment_id: str, body: Any, **_: Any) -> Answer:
        attachment = self._get('attachments', attachment_id)
        attachment['status'] = 'attached'
        self._settle(self.volumes[attachment['volume_id']])
        return 204, None

    @route('DELETE', BASE + '/attachments/{attachment_id}')
    def delete_attachment(self, attachment_id: str, **_: Any) -> Answer:
        attachment = self._get('attachments', attachment_id)
        del self.attachments[attachment_id]
        volume = self.volumes.get(attachment['volume_id'])
        if volume is not None:
            self._settle(volume)
        left = [a for a in self.attachments.values() if a['volume_id'] == attachment['volume_id']]
        return 200, {'attachments': left}

    def _settle(self, volume: Json) -> None:
        """Let a volume's state follow from its attachments."""
        mine = [a for a in self.attachments.values() if a['volume_id'] == volume['id']]
        volume['attachments'] = [
            {
                'id': volume['id'],
                'volume_id': volume['id'],
                'attachment_id': a['id'],
                'server_id': a['instance'],
                'host_name': (a['connector'] or {}).get('host'),
                'device': (a['connector'] or {}).get('mountpoint'),
            }
            for a in mine
            if a['status'] == 'attached'
        ]
        found = {a['status'] for a in mine}
        if not mine:
            volume['status'] = 'available'
        elif 'attaching' in found:
            volume['status'] = 'attaching'
        elif found == {'attached'}:
            volume['status'] = 'in-use'
        else:
            volume['status'] = 'in-use' if 'attached' in found else 'reserved'


def _project(thing: Json) -> Any:
    for key in (
        'os-vol-tenant-attr:tenant_id',
        'os-extended-snapshot-attributes:project_id',
        'project_id',
    ):
        if key in thing:
            return thing[key]
    return None


def _matches(thing: Json, query: dict[str, list[str]]) -> bool:
    for key, (wanted, *_) in query.items():
        if key in ('all_tenants', 'limit', 'marker'):
            continue
        if key == 'metadata':
            # Written as a Python dictionary, as clients of Cinder do.
            if not all(f"'{k}': '{v}'" in wanted for k, v in thing['metadata'].items()):
                return False
            if not thing['metadata']:
                return False
        elif str(thing.get('instance' if key == 'instance_id' else key)) != wanted:
            return False
    return True
