"""Shares of the file system service that servers use."""

import msgspec

ATTACHING, DETACHING = 'attaching', 'detaching'
INACTIVE, ACTIVE, ERROR = 'inactive', 'active', 'error'


class Share(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One share of one server; ``uuid`` is the attachment's own.

    The server's host is let in while it is 'attaching'; then it is 'inactive' as long as the
    server is off, and 'active' while it runs.
    """

    uuid: str
    share_id: str
    tag: str
    status: str = ATTACHING
    export_location: str = ''
    protocol: str = 'NFS'
    access_to: str = ''
    """Whom Manila lets in for it: an address of the host, or a user of Ceph that all hosts are."""

    @property
    def is_ceph(self) -> bool:
        return self.protocol == 'CEPHFS'

    @property
    def access_type(self) -> str:
        """Manila's word for what ``access_to`` is."""
        return 'cephx' if self.is_ceph else 'ip'

    @property
    def lock_reason(self) -> str:
        """Each attachment has a lock of its own, so that none takes another one's away."""
        return f'nova attachment {self.uuid}'
