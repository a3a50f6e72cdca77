"""Thousands of hosts, written straight into the databases of placement and of the cell."""

import configparser
import datetime
import pathlib
import uuid

import sqlalchemy as sa

VCPUS, MEMORY_MB, LOCAL_GB, RATIO = 64, 262144, 4000, 4.0
CLASSES = {0: (VCPUS, RATIO), 1: (MEMORY_MB, 1.0), 2: (LOCAL_GB, 1.0)}
NAMESPACE = uuid.UUID('5d2bd8a4-5c1d-4d52-8a5f-3a4c2f6f2b7e')


def uuid_of(number: int) -> str:
    return str(uuid.uuid5(NAMESPACE, f'h{number}'))


def engine(conf: pathlib.Path, group: str) -> sa.Engine:
    parser = configparser.RawConfigParser(strict=False)
    parser.read(conf)
    return sa.create_engine(parser[group]['connection'])


def _tables(engine: sa.Engine, *names: str) -> list[sa.Table]:
    metadata = sa.MetaData()
    metadata.reflect(engine, only=names)
    return [metadata.tables[name] for name in names]


def placement(conf: pathlib.Path, hosts: int) -> None:
    """Give placement a provider with three inventories and a trait for each host."""
    database = engine(conf, 'placement_database')
    providers, inventories, links, traits = _tables(
        database, 'resource_providers', 'inventories', 'resource_provider_traits', 'traits'
    )
    with database.begin() as connection:
        trait = connection.execute(
            sa.select(traits.c.id).where(traits.c.name == 'OWNER_NOVA')
        ).scalar_one()
        connection.execute(
            sa.insert(providers),
            [
                {
                    'id': n,
                    'uuid': uuid_of(n),
                    'name': f'h{n}',
                    'generation': 1,
                    'root_provider_id': n,
                }
                for n in range(1, hosts + 1)
            ],
        )
        connection.execute(
            sa.insert(inventories),
            [
                {
                    'resource_provider_id': n,
                    'resource_class_id': kind,
                    'total': total,
                    'reserved': 0,
                    'min_unit': 1,
                    'max_unit': total,
                    'step_size': 1,
                    'allocation_ratio': ratio,
                }
                for n in range(1, hosts + 1)
                for kind, (total, ratio) in CLASSES.items()
            ],
        )
        connection.execute(
            sa.insert(links),
            [{'resource_provider_id': n, 'trait_id': trait} for n in range(1, hosts + 1)],
        )


def cell(conf: pathlib.Path, hosts: int) -> None:
    """Give the cell a service and a node for each host, alive for a day."""
    from kilonova.common.objects.host import Amount, ProviderState
    from kilonova.db.models.cell import ComputeNodeRow, HostTableVersion, ServiceRow

    database = engine(conf, 'database')
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    seen = now + datetime.timedelta(hours=1)
    names = ('VCPU', 'MEMORY_MB', 'DISK_GB')
    provider = ProviderState(
        inventories={
            name: Amount(total=total, max_unit=total, allocation_ratio=ratio)
            for name, (total, ratio) in zip(names, CLASSES.values(), strict=True)
        },
        traits=['OWNER_NOVA'],
    )
    services = [
        {
            'uuid': str(uuid.uuid4()), 'host': f'h{n}', 'binary': 'nova-compute', 'topic': 'compute',
            'report_count': 1, 'disabled': False, 'forced_down': False, 'version': 1,
            'last_seen_up': seen, 'created_at': now,
        }
        for n in range(1, hosts + 1)
    ]  # fmt: skip
    nodes = [
        {
            'uuid': uuid_of(n), 'host': f'h{n}', 'hypervisor_hostname': f'h{n}',
            'hypervisor_type': 'QEMU', 'hypervisor_version': 8_002_000, 'host_ip': '192.0.2.1',
            'vcpus': VCPUS, 'memory_mb': MEMORY_MB, 'local_gb': LOCAL_GB,
            'disk_available_least': LOCAL_GB, 'cpu_allocation_ratio': RATIO,
            'ram_allocation_ratio': 1.0, 'disk_allocation_ratio': 1.0, 'provider': provider,
            'cpu_info': {
                'arch': 'x86_64', 'model': 'EPYC', 'vendor': 'AMD',
                'features': [f'feature{i}' for i in range(80)],
                'topology': {'cells': 2, 'sockets': 1, 'cores': 16, 'threads': 2},
            },
            'supported_instances': [['x86_64', 'kvm', 'hvm'], ['i686', 'kvm', 'hvm']],
            'metrics': [], 'stats': {}, 'pci_devices': [], 'numa_topology': None,
            'reserved_host_cpus': 0, 'reserved_host_memory_mb': 0, 'reserved_host_disk_mb': 0,
            'failed_builds': 0, 'created_at': now,
        }
        for n in range(1, hosts + 1)
    ]  # fmt: skip
    with database.begin() as connection:
        for start in range(0, hosts, 500):
            connection.execute(sa.insert(ServiceRow), services[start : start + 500])
            connection.execute(sa.insert(ComputeNodeRow), nodes[start : start + 500])
        connection.execute(sa.update(HostTableVersion).values(version=HostTableVersion.version + 1))
