"""A server's volumes: made, connected to this host, let go of.

Volumes are made as the user who asked for the server, whose they are; all else is done as
the service, since it may outlive the user's token.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception, volumes
from kilonova.common.clients import cinder
from kilonova.common.context import RequestContext
from kilonova.common.objects import block_device
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import Driver

LOG = logging.getLogger(__name__)

Report = Callable[[list[BlockDevice]], object]
"""Tells the conductor of changed devices.  Raises Superseded when it does not want them."""
Sleep = Callable[[float], None]
RESERVED, ATTACHED = 'reserved', 'attached'
READY, FAILED = ('available', 'in-use', 'reserved', 'downloading'), 'error'


class Volumes:
    """Asks Cinder for servers on one host."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        host: str,
        driver: Driver,
        client: Callable[..., cinder.Cinder] = cinder.client,
    ) -> None:
        self._conf, self._host, self._driver, self._client = conf, host, driver, client

    def prepare(
        self,
        context: RequestContext,
        server: Server,
        again: bool,
        report: Report,
        sleep: Sleep,
    ) -> None:
        """Make and connect all volumes of a server that is built; its devices are completed.

        ``again``: an earlier attempt may have begun.  Raises BuildAborted.
        """
        mine = [device for device in server.block_devices if device.is_volume]
        if not mine:
            return
        try:
            self._make_all(context, server, mine, again, report, sleep)
            for device in mine:
                self._reserve(server, device, again)
            report(mine)
            for device in mine:
                self.connect(server, device)
            report(mine)
        except (exception.BuildError, exception.Superseded):
            raise
        except exception.KilonovaError as error:
            raise exception.BuildAborted(
                uuid=server.uuid, reason=f'The volumes are not available: {error}'
            ) from error

    def connect(self, server: Server, device: BlockDevice) -> None:
        """Have an attachment connected to this host; the device learns how to reach the volume."""
        client = self._client(self._conf)
        info = client.update_attachment(device.attachment_id or '', self._connector(server, device))
        data = info.get('data', info)
        if data.get('encrypted'):
            data['encryption'] = client.show_encryption(device.volume_id or '')
        device.connection_info = info
        device.host = self._host

    def _connector(self, server: Server, device: BlockDevice) -> cinder.Json:
        connector = self._driver.get_volume_connector(server)
        return {**connector, 'mountpoint': device.device_name}

    def complete(self, devices: Iterable[BlockDevice]) -> None:
        """Say that the guest has its volumes."""
        for device in devices:
            if device.is_volume and device.attachment_id:
                self._client(self._conf).complete_attachment(device.attachment_id)

    def complete_rest(self, devices: Iterable[BlockDevice]) -> None:
        """The same, where an earlier attempt may have said so of some."""
        client = self._client(self._conf)
        self.complete(
            device
            for device in devices
            if client.show_attachment(device.attachment_id or '')['status'] != ATTACHED
        )

    def roll_back(self, server: Server, report: Report) -> None:
        """Let go of what was connected here; what the user had given stays reserved."""
        mine = [device for device in server.block_devices if device.is_volume]
        if not mine:
            return
        client = self._client(self._conf)
        for attachment in client.attachments_of(server.uuid):
            volumes.detach(client, attachment['id'])
        made: list[str] = []
        for device in mine:
            device.attachment_id, device.connection_info, device.host = None, None, None
            if device.is_given:
                device.attachment_id = self._take(client, server, device)
                made.append(device.attachment_id)
        try:
            report(mine)
        except Exception:
            # Who took the server over does not know of them.
            for attachment_id in made:
                volumes.detach(client, attachment_id)
            raise

    def release(self, server: Server) -> None:
        """Let go of everything that a server had; it is deleted."""
        if any(device.is_volume for device in server.block_devices):
            volumes.release(self._client(self._conf), server.uuid, server.block_devices)

    # -- moving

    @contextlib.contextmanager
    def taken_over(self, server: Server) -> Iterator[list[BlockDevice]]:
        """Connect a server's volumes to this host alone, for a guest that the body makes.

        When the body fails they are connected to nothing, but stay reserved.
        """
        mine = block_device.volumes(server.block_devices)
        try:
            self._take_over(server, mine)
            yield mine
        except BaseException:
            self.hand_back(server)
            raise
        self.complete_rest(mine)

    def hand_back(self, server: Server) -> list[BlockDevice]:
        """Disconnect a server's volumes from every host; they stay reserved for it."""
        mine = block_device.volumes(server.block_devices)
        if mine:
            known = self._client(self._conf).attachments_of(server.uuid)
            for device in mine:
                self._start_anew(server, device, known)
        return mine

    def connect_too(self, server: Server) -> list[BlockDevice]:
        """Connect the volumes of a running guest to this host, too, for it to come here."""
        mine = block_device.volumes(server.block_devices)
        if mine:
            self.drop_others(server)
        for device in mine:
            made = self._client(self._conf).connect(
                device.volume_id or '', server.uuid, self._connector(server, device)
            )
            device.attachment_id, device.connection_info = made['id'], made['connection_info']
            device.host = self._host
        return mine

    def drop_others(self, server: Server) -> None:
        """Delete all attachments but the recorded ones."""
        mine = block_device.volumes(server.block_devices)
        if not mine:
            return
        kept = {device.attachment_id for device in mine}
        client = self._client(self._conf)
        for attachment in client.attachments_of(server.uuid):
            if attachment['id'] not in kept:
                volumes.detach(client, attachment['id'])

    def _take_over(self, server: Server, mine: list[BlockDevice]) -> None:
        if not mine:
            return
        known = self._client(self._conf).attachments_of(server.uuid)
        attached = {a['id'] for a in known if a['status'] == ATTACHED}
        for device in mine:
            if device.host == self._host and device.attachment_id in attached:
                continue  # the guest never lost it
            self._start_anew(server, device, known)
            self.connect(server, device)

    def _start_anew(self, server: Server, device: BlockDevice, known: list[cinder.Json]) -> None:
        """Give a device an attachment that is connected to nothing; all others of it end."""
        client = self._client(self._conf)
        old = [one for one in known if one['volume_id'] == device.volume_id]
        fresh = next((one['id'] for one in old if one['status'] == RESERVED), None)
        ended = [one['id'] for one in old if one['id'] != fresh]
        if fresh is None and all(one['status'] == ATTACHED for one in old):
            # First, so that the volume is never free.
            fresh = self._take(client, server, device)
        for attachment_id in ended:
            volumes.detach(client, attachment_id)
        device.attachment_id = fresh or self._take(client, server, device)
        device.connection_info, device.host = None, None

    def reimage(self, device: BlockDevice, image_id: str) -> None:
        """Begin to write an image to a volume that is reserved."""
        self._client(self._conf).reimage(device.volume_id or '', image_id)

    # -- making

    def _make_all(
        self,
        context: RequestContext,
        server: Server,
        mine: list[BlockDevice],
        again: bool,
        report: Report,
        sleep: Sleep,
    ) -> None:
        to_make = [device for device in mine if not device.is_given]
        for device in to_make:
            if device.volume_id is None:
                device.volume_id = self._make(context, server, device, again)
                report([device])
        for device in to_make:
            self._wait(server, device, sleep)

    def _make(
        self, context: RequestContext, server: Server, device: BlockDevice, again: bool
    ) -> str:
        if again:
            found = volumes.find_made(self._client(self._conf), device)
            if found is not None:
                return str(found['id'])
        if not context.auth_token:
            raise exception.BuildAborted(
                uuid=server.uuid,
                reason='The token of the request, which making a volume needs, is gone.',
            )
        zone = None if self._conf.cinder.cross_az_attach else server.availability_zone
        made = self._client(self._conf, context).create_volume(
            device.volume_size or 1,
            name=f'{server.uuid}-blank-vol' if device.source_type == 'blank' else '',
            description='',
            snapshot_id=device.snapshot_id,
            imageRef=device.image_id,
            volume_type=device.volume_type,
            availability_zone=zone,
            metadata={volumes.MARK: device.uuid},
        )
        return str(made['id'])

    def _wait(self, server: Server, device: BlockDevice, sleep: Sleep) -> None:
        """Wait until Cinder has made a volume.  Raises VolumeNotCreated."""
        retries: int = self._conf.block_device_allocate_retries
        pause: float = self._conf.block_device_allocate_retries_interval
        client, status = self._client(self._conf), ''
        for attempt in range(retries + 1):
            status = str(client.show_volume(device.volume_id or '')['status'])
            if status in READY:
                return
            if status == FAILED or attempt == retries:
                break
            sleep(pause)
        raise exception.VolumeNotCreated(
            volume_id=device.volume_id,
            seconds=int(pause * attempt),
            attempts=attempt + 1,
            volume_status=status,
        )

    # -- reserving

    def _reserve(self, server: Server, device: BlockDevice, again: bool) -> None:
        """See that a device has an attachment that is connected to nothing yet."""
        client = self._client(self._conf)
        if device.attachment_id is not None:
            if not again:
                return
            if self._is_fresh(client, device.attachment_id):
                return
            volumes.detach(client, device.attachment_id)
        device.attachment_id = self._take(client, server, device)

    @staticmethod
    def _is_fresh(client: cinder.Cinder, attachment_id: str) -> bool:
        try:
            return bool(client.show_attachment(attachment_id)['status'] == RESERVED)
        except exception.VolumeAttachmentNotFound:
            return False

    @staticmethod
    def _take(client: cinder.Cinder, server: Server, device: BlockDevice) -> str:
        return client.create_attachment(device.volume_id or '', server.uuid)
