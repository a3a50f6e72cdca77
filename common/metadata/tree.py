"""All that a server is told about itself: served over HTTP and written on config drives."""

import base64
import datetime
import functools
from collections.abc import Sequence
from typing import Any

import msgspec
from oslo_config import cfg

from kilonova.common.metadata import ec2, network, openstack, password, versions
from kilonova.common.metadata.vendordata import VendorData
from kilonova.common.objects.server import Server

Json = dict[str, Any]


# What the root answers, for every server and for none.
VERSION_LIST = ('text/plain', '\n'.join((*ec2.VERSIONS, ec2.LATEST)).encode())


class Options(msgspec.Struct, kw_only=True, frozen=True):
    """What the configuration adds."""

    dhcp_domain: str = 'novalocal'
    vendor_data: VendorData | None = None
    skip_versions: Sequence[str] = ()
    """EC2 versions that a config drive goes without."""


def options(conf: cfg.ConfigOpts, vendor_data: VendorData | None = None) -> Options:
    """Read ``[api]``; what of vendor data cannot be read is logged and left out."""
    return Options(
        dhcp_domain=conf.api.dhcp_domain,
        vendor_data=vendor_data or VendorData(conf),
        skip_versions=tuple(conf.api.config_drive_skip_versions.split()),
    )


class Tree:
    """One server's documents, made when they are asked for.

    ``personality`` (path, base64) and ``admin_password`` are known at the build alone, so
    only a config drive has them.
    """

    def __init__(
        self,
        server: Server,
        opts: Options,
        *,
        address: str | None = None,
        personality: Sequence[tuple[str, str]] = (),
        admin_password: str | None = None,
    ) -> None:
        self.server = server
        self._options = opts
        self._address = address
        self._admin_password = admin_password
        self._user_data = base64.b64decode(server.user_data.encode()) if server.user_data else None
        self._contents = [(path, base64.b64decode(data.encode())) for path, data in personality]
        name = server.hostname or server.name
        self._hostname = f'{name}.{opts.dhcp_domain}' if opts.dhcp_domain else name

    # -- HTTP

    def lookup(self, path: str, today: datetime.date | None = None) -> tuple[str, bytes] | None:
        """Return content type and content of a path; None: there is no such thing."""
        parts = [part for part in path.split('/') if part]
        if not parts:
            return VERSION_LIST
        if parts[0] != 'openstack':
            return self._ec2(parts)
        if len(parts) == 1:
            return 'text/plain', '\n'.join(openstack.versions(today or _today())).encode()
        if parts[1] == openstack.CONTENT:
            return self._content(parts[2:])
        return self._openstack(parts[1], parts[2:])

    def _ec2(self, parts: list[str]) -> tuple[str, bytes] | None:
        version = parts[0]
        if version != ec2.LATEST and version not in ec2.VERSIONS:
            return None
        node: Any = self._ec2_tree(version)
        for part in parts[1:]:
            if not isinstance(node, dict) or part not in node or part == '_name':
                return None
            node = node[part]
        return 'text/plain', ec2.render(node)

    def _ec2_tree(self, version: str) -> Json:
        return ec2.tree(self.server, version, self._hostname, self._user_data, self._address)

    def _content(self, parts: list[str]) -> tuple[str, bytes] | None:
        if len(parts) != 1 or not (parts[0].isascii() and parts[0].isdigit()):
            return None
        number = int(parts[0])
        if number >= len(self._contents):
            return None
        return 'text/plain', self._contents[number][1]

    def _openstack(self, version: str, parts: list[str]) -> tuple[str, bytes] | None:
        if version != versions.LATEST and version not in versions.VERSIONS:
            return None
        if not parts:
            return 'text/plain', '\n'.join(self._documents(version)).encode()
        # network_data.json is listed from its version on, but older ones have it as well.
        name = parts[0] if len(parts) == 1 else ''
        if name not in self._documents(version) and name != openstack.NETWORK_DATA:
            return None
        json_types = (openstack.META_DATA, openstack.VENDOR_DATA, openstack.VENDOR_DATA2)
        kind = 'application/json' if name in json_types else 'text/plain'
        return kind, self._document(version, name)

    # -- documents

    def _documents(self, version: str) -> list[str]:
        return [
            name
            for name, since in openstack.SINCE.items()
            if versions.reaches(version, since)
            and (name != openstack.USER_DATA or self._user_data is not None)
        ]

    def _document(self, version: str, name: str) -> bytes:
        if name == openstack.USER_DATA:
            return self._user_data or b''
        if name == openstack.PASSWORD:
            return password.read(self.server.system_metadata).encode()
        if name == openstack.NETWORK_DATA:
            return msgspec.json.encode(network.network_data(self.server.network_info))
        if name == openstack.VENDOR_DATA:
            given = self._options.vendor_data
            return msgspec.json.encode(given.static if given else {})
        if name == openstack.VENDOR_DATA2:
            return msgspec.json.encode(self._vendor_data2)
        files = [
            {'content_path': f'/{openstack.CONTENT}/{number:04d}', 'path': path}
            for number, (path, _) in enumerate(self._contents)
        ]
        return msgspec.json.encode(
            openstack.meta_data(
                self.server,
                version,
                self._hostname,
                files=files,
                admin_password=self._admin_password,
            )
        )

    def ask_vendors(self) -> None:
        """Ask now for what would be asked for when it is read.  Raises VendorDataFailed."""
        _ = self._vendor_data2

    @functools.cached_property
    def _vendor_data2(self) -> Json:
        """Asked for once, however often it is read while the tree is remembered."""
        given = self._options.vendor_data
        return given.of(self.server) if given else {}

    # -- config drive

    def files(self) -> dict[str, bytes]:
        """Return every file of a config drive by its path."""
        found: dict[str, bytes] = {}
        for version in (*ec2.VERSIONS, ec2.LATEST):
            if version not in self._options.skip_versions:
                found.update(self._ec2_files(version))
        for version in (*versions.VERSIONS, versions.LATEST):
            for name in self._documents(version):
                if name != openstack.PASSWORD:
                    found[f'openstack/{version}/{name}'] = self._document(version, name)
        for number, (_, data) in enumerate(self._contents):
            found[f'openstack/{openstack.CONTENT}/{number:04d}'] = data
        return found

    def _ec2_files(self, version: str) -> dict[str, bytes]:
        node = self._ec2_tree(version)
        found = {f'ec2/{version}/meta-data.json': msgspec.json.encode(node['meta-data'])}
        if 'user-data' in node:
            found[f'ec2/{version}/user-data'] = node['user-data']
        return found


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()
