"""The part of a guest that leaves for another host as it runs."""

from typing import Any

from kilonova.compute.virt.libvirt import connection


class Moves:
    """Calls on one domain; each raises GuestNotFound, HypervisorError."""

    def _call(self, method: str, *args: Any) -> Any:
        raise NotImplementedError

    def migratable_xml(self, *, inactive: bool) -> str:
        """Return the domain as another host understands it, secrets and all."""
        lib = connection.library()
        flags = lib.VIR_DOMAIN_XML_MIGRATABLE | lib.VIR_DOMAIN_XML_SECURE
        flags |= lib.VIR_DOMAIN_XML_INACTIVE if inactive else 0
        return str(self._call('XMLDesc', flags))

    def migrate(self, uri: str, params: dict[str, Any], flags: int) -> None:
        """Return when it is there; its daemon drives, whatever becomes of us."""
        self._call('migrateToURI3', uri, params, flags)

    def job_stats(self) -> dict[str, Any]:
        """Return how far the guest's job is; ``type`` 0: it has none."""
        found: dict[str, Any] = self._call('jobStats')
        return found

    def abort_job(self) -> None:
        self._call('abortJob')

    def allow_downtime(self, milliseconds: int) -> None:
        self._call('migrateSetMaxDowntime', milliseconds)

    def start_post_copy(self) -> None:
        """Let it run at the destination, which fetches the rest."""
        self._call('migrateStartPostCopy')

    def stand_still(self) -> None:
        self._call('suspend')

    def is_persistent(self) -> bool:
        """Whether libvirt remembers it: one that is only arriving is not yet remembered."""
        return bool(self._call('isPersistent'))
