"""What the operator tells guests: a file, and services that are asked about each server.

A service gets a request with what is known of the server, and answers with JSON, which becomes the
part of vendor_data2.json that has the service's name.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import requests
from keystoneauth1 import exceptions as ks_exceptions
from keystoneauth1 import loading as ks
from keystoneauth1 import session as ks_session
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.server import Server

LOG = logging.getLogger(__name__)

Json = dict[str, Any]

STATIC, DYNAMIC = 'StaticJSON', 'DynamicJSON'
GROUP = 'vendordata_dynamic_auth'
BOOT_ROLES = 'boot_roles'
"""Key in system_metadata: the roles of who made the server."""


class Target(NamedTuple):
    """One service, by the name that its answer gets."""

    name: str
    url: str


class VendorData:
    """What the configuration says of it, read once."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        providers = conf.api.vendordata_providers
        self.static = _file(conf.api.vendordata_jsonfile_path)
        self._has_static = STATIC in providers
        self._targets = _targets(conf) if DYNAMIC in providers else []
        self._session = _session(conf) if self._targets else None

    def of(self, server: Server) -> Json:
        """Return vendor_data2.json.  Raises VendorDataFailed where failures are fatal."""
        found: Json = {'static': self.static} if self._has_static else {}
        return found | {target.name: self._ask(target, server) for target in self._targets}

    def _ask(self, target: Target, server: Server) -> Any:
        assert self._session is not None
        options = self._conf.api
        try:
            answer = self._session.request(
                target.url,
                'POST',
                json=told(server),
                headers={'Accept': 'application/json'},
                user_agent='openstack-nova-vendordata',
                connect_retries=0,
                timeout=(
                    options.vendordata_dynamic_connect_timeout,
                    options.vendordata_dynamic_read_timeout,
                ),
            )
            return answer.json() if answer.text else {}
        except (ks_exceptions.ClientException, requests.RequestException, ValueError) as error:
            LOG.warning(
                'Vendor data %s of server %s: %s says nothing usable: %s',
                *(target.name, server.uuid, target.url, error),
            )
            if options.vendordata_dynamic_failure_fatal:
                raise exception.VendorDataFailed(name=target.name, reason=str(error)) from error
            return {}


def told(server: Server) -> Json:
    """Return what a service gets to know of a server."""
    return {
        'project-id': server.project_id,
        'instance-id': server.uuid,
        'image-id': server.image.id,
        'user-data': server.user_data,
        'hostname': server.hostname,
        'metadata': server.metadata,
        'boot-roles': server.system_metadata.get(BOOT_ROLES, ''),
    }


def _targets(conf: cfg.ConfigOpts) -> list[Target]:
    found: dict[str, Target] = {'static': Target('static', '')}
    for entry in conf.api.vendordata_dynamic_targets:
        name, at, url = entry.partition('@')
        if not (at and name and url):
            LOG.warning('[api]vendordata_dynamic_targets: %s is not of the form name@url', entry)
        elif name in found:
            LOG.warning('[api]vendordata_dynamic_targets: the name %s is taken already', name)
        else:
            found[name] = Target(name, url)
    return list(found.values())[1:]


def _session(conf: cfg.ConfigOpts) -> ks_session.Session:
    """Return who speaks to the services: only what is meant for them, no other identity."""
    auth = ks.load_auth_from_conf_options(conf, GROUP)
    if auth is None:
        LOG.warning('Vendor data is asked for without a token: [%s] has no auth_type', GROUP)
    session = ks.load_session_from_conf_options(conf, GROUP, auth=auth)
    if conf.api.vendordata_dynamic_ssl_certfile:
        session.verify = conf.api.vendordata_dynamic_ssl_certfile
    return session


def _file(path: str | None) -> Mapping[str, Any]:
    if not path:
        return {}
    try:
        with open(path, encoding='utf-8') as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        LOG.warning('Vendor data of %s cannot be read: %s', path, error)
        return {}
    if not isinstance(found, dict):
        LOG.warning('Vendor data of %s is not a JSON object', path)
        return {}
    return found
