"""The driver's part that looks after guests: standing still, rescue, agent, images of them."""

import contextlib
from collections.abc import Callable

from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import Share
from kilonova.compute.virt import driver
from kilonova.compute.virt.driver import ImageSink, ImageSource
from kilonova.compute.virt.libvirt import agent
from kilonova.compute.virt.libvirt.disk.cache_ageing import CacheAgeing
from kilonova.compute.virt.libvirt.disk.image_cache import ImageCache
from kilonova.compute.virt.libvirt.disk.snapshot import Snapshots
from kilonova.compute.virt.libvirt.guest import Guests
from kilonova.compute.virt.libvirt.mounts import Mounts
from kilonova.compute.virt.libvirt.rescue import Rescuer
from kilonova.compute.virt.libvirt.standing import Standing
from kilonova.compute.virt.libvirt.tpm import Tpms


class Care(driver.Suspending, driver.Rescue, driver.Images, driver.Shares):
    """A part of ``LibvirtDriver``, which makes what is named here."""

    keeps_images = True
    supports_shares = True

    _guests: Guests
    _standing: Standing
    _rescuer: Rescuer
    _snapshots: Snapshots
    _mounts: Mounts
    _tpms: Tpms
    _cache: ImageCache
    _ageing: CacheAgeing
    _working_on: Callable[[str], contextlib.AbstractContextManager[None]]

    def pause(self, server: Server) -> None:
        with self._working_on(server.uuid):
            self._standing.pause(server)

    def unpause(self, server: Server) -> None:
        with self._working_on(server.uuid):
            self._standing.unpause(server)

    def suspend(self, server: Server) -> None:
        with self._working_on(server.uuid):
            self._standing.suspend(server)

    def resume(self, server: Server, vifs: list[VIF]) -> None:
        with self._working_on(server.uuid):
            self._standing.resume(server, vifs)

    def rescue(
        self,
        server: Server,
        vifs: list[VIF],
        images: ImageSource,
        image_id: str | None,
        config_drive: dict[str, bytes] | None = None,
    ) -> None:
        with self._working_on(server.uuid):
            self._rescuer.rescue(server, vifs, images, image_id, config_drive)

    def unrescue(self, server: Server, vifs: list[VIF]) -> None:
        with self._working_on(server.uuid):
            self._rescuer.unrescue(server, vifs)

    def quiesce(self, server: Server) -> bool:
        return agent.freeze(self._guests.find(server.uuid), server)

    def unquiesce(self, server: Server) -> None:
        agent.thaw(self._guests.find(server.uuid))

    def set_admin_password(self, server: Server, password: str) -> None:
        agent.set_password(self._guests.find(server.uuid), server, password)

    def trigger_crash_dump(self, server: Server) -> None:
        self._guests.find(server.uuid).interrupt()

    def snapshot(self, server: Server, sink: ImageSink) -> None:
        self._snapshots.take(server, sink)

    def mount_share(self, server: Server, share: Share) -> None:
        self._mounts.mount(server.uuid, share)

    def unmount_share(self, server: Server, share: Share) -> None:
        self._mounts.unmount(server.uuid, share)

    def forget(self, server: Server) -> None:
        self._tpms.forget(server)

    def cache_image(self, image: Image, source: ImageSource) -> bool:
        if self._cache.holds(image.id):
            return False
        self._cache.image(image, source, None)
        return True

    def age_images(self, servers: list[Server]) -> None:
        self._ageing.run(servers)
