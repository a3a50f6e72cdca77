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
