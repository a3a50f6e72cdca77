"""Emulated TPMs.  What a guest keeps in one is encrypted on disk by a key of the key manager.

The key's id is in the server's system metadata; libvirt has the key only while the guest is
being started.  Keys belong to the service, so that an administrator, or the host itself after
a power cut, can start the guest.
"""

import base64
import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.capabilities import DomainCapabilities
from kilonova.compute.virt.libvirt.wishes import Wishes
from kilonova.compute.virt.libvirt.xml.secret import Secret

LOG = logging.getLogger(__name__)

KEY = 'vtpm_secret_uuid'
LENGTH = 384
CRB, TIS = 'tpm-crb', 'tpm-tis'


def is_wanted(server: Server) -> bool:
    wishes = Wishes(server)
    return wishes.text('tpm_version') is not None


def model(server: Server, machine: str, caps: DomainCapabilities) -> str | None:
    """Return the TPM's model; None: none is wanted.  Raises BuildAborted, BuildError."""
    if not is_wanted(server):
        return None
    found = Wishes(server).text('tpm_model') or TIS
    if found == CRB and 'q35' not in machine:
        raise exception.BuildAborted(
            uuid=server.uuid, reason='a tpm-crb needs the q35 machine type'
        )
    if found not in caps.tpm_models:
        raise exception.BuildError(
            uuid=server.uuid, reason=f'this host cannot emulate a {found}: is swtpm installed?'
        )
    return found


class Tpms:
    """The keys of one host's guests."""

    def __init__(self, conf: cfg.ConfigOpts, conn: connection.Connection) -> None:
        self._conf, self._connection = conf, conn

    @contextlib.contextmanager
    def opened(self, server: Server, changes: dict[str, str]) -> Iterator[str | None]:
        """Let libvirt have the key while a guest is started; yield the secret's uuid.

        None: the server has no TPM.  The id of a key that is made goes to ``changes``.
        """
        if not is_wanted(server):
            yield None
            return
        if not self._conf.libvirt.swtpm_enabled:
            raise exception.BuildError(
                uuid=server.uuid, reason='[libvirt]swtpm_enabled is off on this host'
            )
        key_id = server.system_metadata.get(KEY)
        made = key_id is None
        if key_id is None:
            key_id = changes[KEY] = self._make(server)
        secret = _as_uuid(key_id)
        try:
            self._hand_over(secret, server.uuid, self._fetch(key_id))
            yield secret
        except BaseException:
            if made:
                self.discard(key_id)
            raise
        finally:
            self._take_back(secret)

    def forget(self, server: Server) -> None:
        """Destroy the key of a server that is gone for good; one that is gone is as good."""
        key_id = server.system_metadata.get(KEY)
        if key_id is not None:
            self.discard(key_id)

    def discard(self, key_id: str) -> None:
        """Destroy a key."""
        from castellan.common import exception as castellan_exception

        try:
            self._manager().delete(self._credential(), key_id)
        except castellan_exception.ManagedObjectNotFoundError:
            LOG.debug('Key %s is gone already', key_id)
        except castellan_exception.CastellanException as error:
            raise exception.VirtDriverError(
                reason=f'The key {key_id} of a TPM was not destroyed: {error}'
            ) from error

    def _make(self, server: Server) -> str:
        from castellan.common import exception as castellan_exception
        from castellan.common.objects import passphrase

        text = base64.b64encode(os.urandom(LENGTH))
        key = passphrase.Passphrase(text, name=f'vTPM secret for instance {server.uuid}')
        try:
            return str(self._manager().store(self._credential(), key))
        except castellan_exception.CastellanException as error:
            raise exception.VirtDriverError(
                reason=f'No key for a TPM could be stored: {error}'
            ) from error

    def _fetch(self, key_id: str) -> bytes:
        from castellan.common import exception as castellan_exception

        try:
            found: bytes = self._manager().get(self._credential(), key_id).get_encoded()
        except castellan_exception.CastellanException as error:
            raise exception.VirtDriverError(
                reason=f'The key {key_id} of the TPM cannot be had: {error}'
            ) from error
        return found

    def _manager(self) -> Any:
        from castellan import key_manager

        return key_manager.API(self._conf)

    def _credential(self) -> Any:
        """Return as whom the key manager is asked: as [key_manager] says, else as ourselves."""
        from castellan.common import utils

        if getattr(self._conf.key_manager, 'auth_type', None):
            return utils.credential_factory(self._conf)
        return ctx.get_admin_context()

    def _hand_over(self, secret: str, name: str, value: bytes) -> None:
        xml = Secret(usage='vtpm', uuid=secret, vtpm_name=name, description='TPM').to_xml()

        def run(conn: Any) -> None:
            conn.secretDefineXML(xml).setValue(value)

        self._connection.call(run)

    def _take_back(self, secret: str) -> None:
        lib = connection.library()

        def run(conn: Any) -> None:
            conn.secretLookupByUUIDString(secret).undefine()

        try:
            self._connection.call(run)
        except connection.HypervisorError as error:
            if error.number != lib.VIR_ERR_NO_SECRET:
                LOG.warning('Secret %s stays in libvirt: %s', secret, error)


def _as_uuid(key_id: str) -> str:
    try:
        return str(uuid.UUID(key_id))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, key_id))
