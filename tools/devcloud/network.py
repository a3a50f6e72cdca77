"""Neutron: the API and its workers, and the four agents of this one host."""

import shutil
import time
from pathlib import Path

from devcloud import ini, uwsgi, venvs, wireless
from devcloud.commands import run
from devcloud.database import sync
from devcloud.openvswitch import OpenVswitch
from devcloud.processes import Processes
from devcloud.progress import StepError, say
from devcloud.rest import Rest, RestError
from devcloud.settings import IP, REGION, Settings, write

AGENTS = ('openvswitch', 'dhcp', 'l3', 'metadata')
# Contexts of privileged helpers; each starts one for itself.
_PRIVSEP = (
    'privsep', 'privsep_dhcp_release', 'privsep_ovs_vsctl', 'privsep_namespace',
    'privsep_conntrack', 'privsep_link',
)  # fmt: skip


class Neutron:
    def __init__(self, settings: Settings, processes: Processes, switch: OpenVswitch):
        self._settings = settings
        self._processes = processes
        self._switch = switch
        self._etc = settings.etc / 'neutron'
        self._state = settings.state / 'neutron'

    # ---- configuration

    def _path(self, name: str) -> Path:
        return self._etc / name

    @property
    def _common(self) -> list[str | Path]:
        return [
            '--config-file', self._path('neutron.conf'),
            '--config-file', self._path('ml2.ini'),
        ]  # fmt: skip

    def schema(self) -> None:
        """Write the server's configuration, and create or upgrade the database."""
        self._etc.mkdir(exist_ok=True)
        self._state.mkdir(exist_ok=True)
        venv = self._settings.services_venv
        shutil.copy(venv / 'etc/neutron/api-paste.ini', self._path('api-paste.ini'))
        # The agents look for a command among the children of what they started, so the root
        # helper of a process that is root already must fork, not exec.
        write(self._path('as-root'), '#!/bin/sh\n"$@"\nexit $?\n', 0o755)
        ini.save(self._path('neutron.conf'), self._neutron_conf())
        ini.save(self._path('ml2.ini'), self._ml2())
        sync(
            self._settings,
            'neutron-schema',
            venvs.services_key(self._settings),
            [[venv / 'bin/neutron-db-manage', *self._common, 'upgrade', 'heads']],
            self._env,
        )

    def _neutron_conf(self) -> dict[str, ini.Section]:
        settings = self._settings
        conf = self._path('neutron.conf')
        helper = f'{settings.services_venv}/bin/privsep-helper --config-file {conf}'
        sections: dict[str, ini.Section] = {
            'DEFAULT': {
                'host': settings.choices.host,
                'state_path': self._state,
                'core_plugin': 'ml2',
                # The trunk plug-in refuses to start without a driver that has trunks.
                'service_plugins': 'router,qos,auto_allocate'
                if settings.fake
                else 'router,qos,trunk',
                'auth_strategy': 'keystone',
                'api_paste_config': self._path('api-paste.ini'),
                'transport_url': settings.transport_url,
                'rpc_workers': 1,
                'api_workers': 1,
                'dhcp_agents_per_network': 1,
                'dhcp_agent_notification': not self._settings.fake,
                'global_physnet_mtu': 1500,
                'notify_nova_on_port_status_changes': 'true',
                'notify_nova_on_port_data_changes': 'true',
                'send_events_interval': 1,
            },
            'database': {'connection': settings.mariadb_url('neutron')},
            'keystone_authtoken': ini.authtoken(settings, 'neutron'),
            # Whom to send os-server-external-events.
            'nova': {**ini.credentials(settings, 'neutron'), 'region_name': REGION},
            'oslo_concurrency': {'lock_path': self._state / 'lock'},
            'agent': {'report_interval': 10, 'root_helper': self._path('as-root')},
            'ovs': {
                'ovsdb_connection': f'tcp:{IP}:{settings.ports.ovsdb}',
                'integration_bridge': 'br-int',
            },
        }
        for name in _PRIVSEP:
            sections[name] = {'helper_command': helper}
        return sections

    def _ml2(self) -> dict[str, ini.Section]:
        return {
            'ml2': {
                'type_drivers': 'flat,vlan,local',
                'project_network_types': 'vlan',
                'mechanism_drivers': wireless.NAME if self._settings.fake else 'openvswitch',
                'extension_drivers': 'port_security,qos,dns',
            },
            'ml2_type_flat': {'flat_networks': 'public'},
            'ml2_type_vlan': {'network_vlan_ranges': 'phys:100:199'},
            'securitygroup': {
                'firewall_driver': 'openvswitch',
                'enable_security_group': 'true',
                'enable_ipset': 'false',
            },
        }

    def _agent_configurations(self) -> None:
        settings = self._settings
        socket = self._state / 'metadata_proxy'
        interfaces = {
            'interface_driver': 'openvswitch',
            'ovs_use_veth': 'false',
            'metadata_proxy_socket': socket,
        }
        ini.save(
            self._path('openvswitch.ini'),
            {
                'ovs': {
                    'bridge_mappings': 'public:br-ex,phys:br-phys',
                    'datapath_type': self._switch.datapath_type,
                    'of_listen_address': IP,
                    'of_listen_port': settings.ports.openflow,
                },
                # No tunnels: everything is on this host.
                'agent': {'tunnel_types': '', 'l2_population': 'false', 'extensions': 'qos'},
                'securitygroup': {'firewall_driver': 'openvswitch'},
            },
        )
        ini.save(
            self._path('dhcp.ini'),
            {
                'DEFAULT': {**interfaces, 'enable_isolated_metadata': 'true', 'resync_interval': 5},
                'ovs': {'datapath_type': self._switch.datapath_type},
            },
        )
        ini.save(
            self._path('l3.ini'),
            {
                'DEFAULT': {**interfaces, 'agent_mode': 'legacy'},
                'ovs': {'datapath_type': self._switch.datapath_type},
            },
        )
        ini.save(
            self._path('metadata.ini'),
            {
                'DEFAULT': {
                    'metadata_proxy_socket': socket,
                    'nova_metadata_host': IP,
                    'nova_metadata_port': settings.ports.metadata,
                    'metadata_proxy_shared_secret': settings.password('metadata'),
                    'metadata_workers': 1,
                }
            },
        )

    @property
    def _env(self) -> dict[str, str]:
        return wireless.environment(self._state) if self._settings.fake else {}

    # ---- server

    def start_workers(self) -> None:
        if self._settings.fake:
            return  # they talk with the agents
        bin_ = self._settings.services_venv / 'bin'
        for name in ('rpc-server', 'periodic-workers'):
            self._processes.start(
                f'neutron-{name}',
                [bin_ / f'neutron-{name}', *self._common],
                depends_on=self._depends,
            )

    def start_api(self) -> None:
        uwsgi.serve(
            self._settings,
            self._processes,
            'neutron-api',
            self._settings.ports.neutron,
            'neutron.wsgi.api',
            env=self._env,
            pyargv=' '.join(str(word) for word in self._common),
            depends_on=self._depends,
        )
        self._processes.wait_http('neutron-api', self._settings.url('neutron', '/'))

    @property
    def _depends(self) -> list[Path | str]:
        return [
            self._path('neutron.conf'),
            self._path('ml2.ini'),
            venvs.services_key(self._settings),
        ]

    # ---- agents

    def start_agents(self) -> None:
        if self._settings.fake:
            return
        self._agent_configurations()
        bin_ = self._settings.services_venv / 'bin'
        for name in AGENTS:
            config = self._path(f'{name}.ini')
            self._processes.start(
                f'neutron-{name}-agent',
                [bin_ / f'neutron-{name}-agent', *self._common, '--config-file', config],
                depends_on=[*self._depends, config],
            )

    def wait_for_agents(self) -> None:
        """Wait until all have reported since their processes were started."""
        if self._settings.fake:
            return
        since = self._agents_started_at()
        rest = Rest(self._settings, 'admin', 'admin')
        end = time.monotonic() + 240
        missing: set[str] = set()
        while time.monotonic() < end:
            try:
                agents = rest.get('neutron', '/v2.0/agents')['agents']
            except RestError as error:
                if 400 <= error.status < 500:
                    raise
                agents = []
            up = {
                agent['binary']
                for agent in agents
                if agent['alive']
                and agent['host'] == self._settings.choices.host
                and agent['started_at'] >= since
            }
            missing = {f'neutron-{name}-agent' for name in AGENTS} - up
            if not missing:
                return
            for name in missing:
                if not self._processes.pid(name):
                    tail = self._processes.tail(name)
                    raise StepError(f'{name} has ended:\n{tail}', self._processes.log(name))
            time.sleep(0.5)
        name = sorted(missing)[0]
        raise StepError(
            f'not reported to the Neutron API: {", ".join(sorted(missing))}',
            self._processes.log(name),
        )

    def _agents_started_at(self) -> str:
        records = [self._settings.run / f'neutron-{name}-agent.json' for name in AGENTS]
        # Some seconds earlier: the database keeps whole seconds.
        first = min(path.stat().st_mtime for path in records) - 2
        return time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(first))

    # ---- down

    def programs(self) -> list[str]:
        agents = [f'neutron-{name}-agent' for name in AGENTS]
        return [*agents, 'neutron-periodic-workers', 'neutron-rpc-server', 'neutron-api']

    def remove_namespaces(self, before: set[str]) -> None:
        """Delete the namespaces of routers and DHCP servers that were not there before."""
        for name in neutron_namespaces() - before:
            say('network', f'deleting namespace {name}')
            run(['ip', 'netns', 'delete', name], check=False)


def neutron_namespaces() -> set[str]:
    prefixes = ('qdhcp-', 'qrouter-', 'snat-', 'fip-')
    names = {line.split()[0] for line in run(['ip', 'netns', 'list']).stdout.splitlines() if line}
    return {name for name in names if name.startswith(prefixes)}
