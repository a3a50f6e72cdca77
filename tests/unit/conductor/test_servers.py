"""The endpoints for servers."""

import pytest

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF
from kilonova.common.objects.operation import ExternalEvent, Fence
from kilonova.common.objects.server import ServerQuery
from kilonova.common.objects.work import WorkResult
from kilonova.conductor.servers import devices, names
from kilonova.db.engine import count_statements
from kilonova.db.models.api import FlavorRow, InstanceMapping, KeypairRow
from kilonova.db.models.cell import ServiceRow
from kilonova.tests.unit.statements import sql

GIB = 1024**3


def refuse(world, error, match, **values):
    with pytest.raises(error, match=match):
        world.create(**values)
    assert world.usage() == 0
    assert world.conductor.list_servers(world.context, ServerQuery()) == []


class TestCreate:
    def test_unknown_flavor(self, world):
        refuse(world, exception.FlavorNotFound, 'Flavor 77 could not be found', flavorid='77')

    def test_private_flavor_of_others(self, world):
        with world.api_db.transaction() as session:
            session.add(FlavorRow(flavorid='2', name='m2', vcpus=1, memory_mb=1, is_public=False))
        refuse(world, exception.FlavorNotFound, 'Flavor 2', flavorid='2')

    def test_unknown_key(self, world):
        refuse(world, exception.KeypairNotFound, 'Keypair mine not found', key_name='mine')

    def test_key(self, world):
        with world.api_db.transaction() as session:
            session.add(
                KeypairRow(name='mine', user_id='u', fingerprint='f', public_key='ssh-rsa A')
            )
        server = world.server(world.boot(key_name='mine'))
        assert (server.key_name, server.key_public, server.key_type) == ('mine', 'ssh-rsa A', 'ssh')

    def test_unknown_zone(self, world):
        message = 'The requested availability zone is not available'
        refuse(world, exception.Invalid, message, availability_zone='moon')

    def test_default_zone(self, world):
        server = world.server(world.boot(availability_zone='nova'))
        assert server.requested_zone == 'nova'

    def test_unknown_requested_host(self, world):
        refuse(world, exception.ComputeHostNotFound, 'Compute host x', requested_host='x')

    @pytest.mark.parametrize(
        'image, error, message',
        [
            (Image(id='i', min_ram=513), exception.Invalid, "Flavor's memory is too small"),
            (
                Image(id='i', size=GIB + 1),
                exception.FlavorDiskSmallerThanImage,
                f'Flavor disk is {GIB} bytes, image is {GIB + 1} bytes',
            ),
            (
                Image(id='i', min_disk=2),
                exception.Invalid,
                f'Flavor disk is {GIB} bytes, minimum size is {2 * GIB} bytes',
            ),
        ],
    )
    def test_image_that_does_not_fit(self, world, image, error, message):
        refuse(world, error, message, image=image)

    def test_large_image_on_a_volume(self, world):
        root = BlockDevice(
            source_type='image', destination_type='volume', boot_index=0, volume_size=5
        )
        world.create(image=Image(id='i', size=2 * GIB), block_devices=[root])

    def test_flavor_without_disk(self, world):
        with world.api_db.transaction() as session:
            session.add(FlavorRow(flavorid='0', name='m0', vcpus=1, memory_mb=512))
        refuse(
            world,
            exception.Forbidden,
            'Only volume-backed servers are allowed for flavors with zero disk',
            flavorid='0',
            zero_disk_allowed=False,
        )
        world.create(flavorid='0', zero_disk_allowed=True)

    def test_quota(self, world):
        world.conf.set_override('instances', 2, 'quota')
        refuse(world, exception.QuotaExceeded, 'instances', min_count=3, max_count=3)
        assert len(world.create(min_count=1, max_count=5)) == 2

    def test_metadata_quota(self, world):
        world.conf.set_override('metadata_items', 1, 'quota')
        message = 'Maximum number of metadata items exceeds 1'
        refuse(world, exception.LimitExceeded, message, metadata={'a': '1', 'b': '2'})

    def test_file_quotas(self, world):
        world.conf.set_override('injected_files', 1, 'quota')
        world.conf.set_override('injected_file_content_bytes', 2, 'quota')
        two = [('/a', ''), ('/b', '')]
        refuse(world, exception.LimitExceeded, 'Personality file limit', personality=two)
        big = [('/a', 'YWFh')]
        refuse(world, exception.LimitExceeded, 'content exceeds maximum 2', personality=big)

    def test_forced_config_drive(self, world):
        world.conf.set_override('force_config_drive', True)
        assert world.server(world.boot()).config_drive is True

    def test_what_is_kept(self, world):
        uuid = world.boot(
            tags=['b', 'a'], metadata={'k': 'v'}, user_data='Zg==', description='mine'
        )
        server = world.conductor.get_server(world.context, uuid, 'p')
        assert server.tags == ['a', 'b']
        assert server.metadata == {'k': 'v'}
        assert (server.user_data, server.description) == ('Zg==', 'mine')
        assert server.reservation_id.startswith('r-') and len(server.reservation_id) == 10
        assert server.image.id == 'image'
        assert server.flavor.name == 'm1' and server.flavor.projects == []

    def test_lost_booking_is_given_back(self, world):
        world.boot()
        with world.api_db.transaction() as session:
            session.add(InstanceMapping(instance_uuid='lost', project_id='p', created_at=world.now))
        chores = world.conductor.engine.chores
        assert sum(chore() or 0 for chore in chores) == 0
        world.advance(world.conf.operations.booking_time + 1)
        assert sum(chore() or 0 for chore in chores) == 1
        assert sum(chore() or 0 for chore in chores) == 0
        assert world.usage() == 1


class TestNames:
    @pytest.mark.parametrize(
        'name, label',
        [
            ('web', 'web'),
            ('My_Server 1.example.org', 'my-server-1-example-org'),
            ('-x-', 'x'),
            ('grün', 'grn'),
            ('服务器', 'Server-u'),
            ('a' * 80, 'a' * 63),
        ],
    )
    def test_hostname(self, name, label):
        assert names.hostname(name, 'u') == label

    def test_devices_of_the_flavor(self):
        flavor = Flavor(flavorid='1', name='', memory_mb=1, vcpus=1, ephemeral_gb=2, swap=64)
        root = BlockDevice(boot_index=0)
        wanted = devices.of_flavor([root], flavor)
        found = devices.of_server(wanted, flavor, Image())
        assert [(d.source_type, d.guest_format, d.volume_size, d.device_name) for d in found] == [
            ('image', None, None, '/dev/vda'),
            ('blank', None, 2, '/dev/vdb'),
            ('blank', 'swap', None, '/dev/vdc'),
        ]
        assert root.uuid is None and all(d.uuid for d in found)
        asked = BlockDevice(source_type='blank', guest_format='swap', volume_size=1)
        assert len(devices.of_flavor([asked], flavor)) == 2

    def test_devices_that_would_be_empty_are_left_out(self):
        flavor = Flavor(flavorid='1', name='', memory_mb=1, vcpus=1)
        blank = BlockDevice(source_type='blank')
        swap = BlockDevice(source_type='blank', guest_format='swap')
        assert devices.of_server([blank, swap], flavor, Image()) == []

    def test_names_follow_the_bus_and_the_order_of_kinds(self):
        flavor = Flavor(flavorid='1', name='', memory_mb=1, vcpus=1, ephemeral_gb=1)
        asked = [
            BlockDevice(destination_type='volume', device_name='/dev/sdb'),
            BlockDevice(destination_type='volume'),
            BlockDevice(destination_type='volume', disk_bus='virtio'),
            BlockDevice(source_type='blank'),
            BlockDevice(boot_index=0),
        ]
        image = Image(properties={'hw_disk_bus': 'scsi'})
        found = devices.of_server(asked, flavor, image)
        assert [device.device_name for device in found] == [
            '/dev/sdb',
            '/dev/sdd',
            '/dev/vda',
            '/dev/sdc',
            '/dev/sda',
        ]

    def test_there_are_names_for_hundreds_of_disks_but_not_for_any_number(self):
        flavor = Flavor(flavorid='1', name='', memory_mb=1, vcpus=1)
        many = [BlockDevice(destination_type='volume') for _ in range(26 + 26 * 26)]
        found = devices.of_server(many, flavor, Image())
        assert found[26].device_name == '/dev/vdaa' and found[-1].device_name == '/dev/vdzz'
        with pytest.raises(exception.TooManyDiskDevices):
            devices.next_name(found, BlockDevice(), Image())


class TestShow:
    def test_statements(self, world):
        uuid = world.boot(tags=['a'])
        with count_statements() as statements:
            world.conductor.get_server(world.context, uuid, 'p', ['block_devices'])
        assert len(sql(statements)) == 2
        with count_statements() as statements:
            world.conductor.list_servers(world.context, ServerQuery())
        assert len(sql(statements)) == 2

    def test_of_another_project(self, world):
        uuid = world.boot()
        with pytest.raises(exception.InstanceNotFound):
            world.conductor.get_server(world.context, uuid, 'other')

    def test_deleted(self, world):
        uuid = world.boot()
        world.conductor.delete_server(world.new_context(), uuid)
        world.settle()
        with pytest.raises(exception.InstanceNotFound):
            world.conductor.get_server(world.context, uuid)
        server = world.conductor.get_deleted_or_live_server(world.context, uuid, 'p')
        assert (server.deleted, server.vm_state) == (True, 'deleted')
        assert server.deleted_at == server.terminated_at == world.now

    def test_host_status(self, world):
        uuid = world.boot()

        def status():
            return world.conductor.get_server(
                world.context, uuid, expand=['host_status']
            ).host_status

        assert status() == 'UP'
        with world.cell_db.transaction() as session:
            session.query(ServiceRow).filter_by(host='h1').update({'disabled': True})
        assert status() == 'MAINTENANCE'
        world.down.add('h1')
        world.advance(world.conf.service_down_time + 1)
        assert status() == 'UNKNOWN'
        with world.cell_db.transaction() as session:
            session.query(ServiceRow).filter_by(host='h1').update({'forced_down': True})
        assert status() == 'DOWN'
        [listed] = world.conductor.list_servers(world.context, ServerQuery(host_status=True))
        assert listed.host_status == 'DOWN'

    def test_update(self, world):
        uuid = world.boot()
        changed = world.conductor.update_server(
            world.context, uuid, {'name': 'new', 'access_ip_v4': '10.0.0.1'}
        )
        assert (changed.name, changed.access_ip_v4) == ('new', '10.0.0.1')
        with pytest.raises(exception.InvalidInput, match='vm_state'):
            world.conductor.update_server(world.context, uuid, {'vm_state': 'active'})
        with pytest.raises(exception.InstanceNotFound):
            world.conductor.update_server(world.context, 'x', {'name': 'new'})

    def test_the_password_of_the_guest(self, world):
        uuid = world.boot()
        before = world.server(uuid).system_metadata
        call = world.conductor.call
        call('set_server_password', uuid, 'x' * 300)
        with pytest.raises(exception.Conflict):
            call('set_server_password', uuid, 'y')
        assert world.server(uuid).system_metadata == before | {
            'password_0': 'x' * 255,
            'password_1': 'x' * 45,
        }
        call('set_server_password', uuid, '')
        call('set_server_password', uuid, 'y')
        assert world.server(uuid).system_metadata == before | {'password_0': 'y'}
        with pytest.raises(exception.InstanceNotFound):
            call('set_server_password', 'x', 'y')

    def test_by_port(self, world):
        uuid = world.boot()
        vif = VIF(id='7c6ac2f9-ffb3-4a4c-b0ca-c2bb51b3d2d5', address='', network_id='n')
        world.conductor.update_network_info(world.context, uuid, [vif])
        assert world.conductor.get_server_by_port(world.context, vif.id).uuid == uuid
        world.conductor.update_network_info(world.context, uuid, [vif])
        for wrong in ('%', 'n', '', '7c6ac2f9'):
            with pytest.raises(exception.PortNotFound):
                world.conductor.get_server_by_port(world.context, wrong)

    def test_by_a_port_that_was_another_servers(self, world):
        first, second = world.boot(), world.boot()
        vif = VIF(id='7c6ac2f9-ffb3-4a4c-b0ca-c2bb51b3d2d5', address='', network_id='n')
        call = world.conductor.call
        call('update_network_info', first, [vif])
        call('update_network_info', first, [])
        with pytest.raises(exception.PortNotFound):
            call('get_server_by_port', vif.id)
        call('update_network_info', second, [vif])
        assert call('get_server_by_port', vif.id).uuid == second
        call('delete_server', second)
        world.settle()
        with pytest.raises(exception.PortNotFound):
            call('get_server_by_port', vif.id)

    def test_by_port_costs_two_statements_however_many_servers_there_are(self, world):
        vif = VIF(id='7c6ac2f9-ffb3-4a4c-b0ca-c2bb51b3d2d5', address='', network_id='n')
        uuid = world.boot()
        world.conductor.update_network_info(world.context, uuid, [vif])
        with count_statements() as statements:
            world.conductor.get_server_by_port(world.context, vif.id)
        assert len(sql(statements)) == 2
        with world.cell_db.reader() as session:
            if session.get_bind().dialect.name == 'sqlite':
                [query] = [text for text in statements if 'instance_ports' in text]
                plan = session.connection().exec_driver_sql(
                    f'EXPLAIN QUERY PLAN {query}', (vif.id, 0)
                )
                assert not [row for row in plan if row[3].startswith('SCAN')]

    def test_of_a_host(self, world):
        uuid = world.boot(tags=['a'])
        [server] = world.conductor.get_host_servers(world.context, 'h1')
        assert (server.uuid, server.tags) == (uuid, ['a'])
        assert world.conductor.get_host_servers(world.context, 'h2') == []


class TestMetadata:
    def test_merge_and_replace(self, world):
        uuid = world.boot(metadata={'a': '1'})
        change = world.conductor.set_server_metadata
        assert change(world.context, uuid, {'b': '2'}, False) == {'a': '1', 'b': '2'}
        assert change(world.context, uuid, {'c': '3'}, True) == {'c': '3'}
        world.conductor.delete_server_metadata(world.context, uuid, 'c')
        assert world.server(uuid).metadata == {}
        with pytest.raises(exception.MetadataItemNotFound):
            world.conductor.delete_server_metadata(world.context, uuid, 'c')

    def test_limit_and_state(self, world):
        world.conf.set_override('metadata_items', 1, 'quota')
        [uuid] = world.create()
        message = f"Cannot 'update metadata' instance {uuid} while it is in vm_state building"
        with pytest.raises(exception.InstanceInvalidState, match=message):
            world.conductor.set_server_metadata(world.context, uuid, {'a': '1'}, False)
        world.settle()
        with pytest.raises(exception.LimitExceeded):
            world.conductor.set_server_metadata(world.context, uuid, {'a': '', 'b': ''}, False)
        assert world.server(uuid).metadata == {}

    def test_tags(self, world):
        uuid = world.boot()
        conductor, context = world.conductor, world.context
        assert conductor.set_server_tags(context, uuid, ['b', 'a']) == ['a', 'b']
        assert conductor.add_server_tag(context, uuid, 'c') is True
        assert conductor.add_server_tag(context, uuid, 'c') is False
        conductor.delete_server_tag(context, uuid, 'a')
        with pytest.raises(exception.TagNotFound):
            conductor.delete_server_tag(context, uuid, 'a')
        assert conductor.get_server(context, uuid).tags == ['b', 'c']
        conductor.delete_server_tag(context, uuid, None)
        assert conductor.get_server(context, uuid).tags == []
        conductor.set_server_tags(context, uuid, [str(n) for n in range(50)])
        with pytest.raises(exception.Invalid, match='per-server limit 50'):
            conductor.add_server_tag(context, uuid, 'more')


class TestHosts:
    def test_console(self, world):
        uuid = world.boot()
        assert world.conductor.get_console_output(world.context, uuid, 5) == 'web 5'
        world.down.add('h1')
        world.advance(world.conf.service_down_time + 1)
        with pytest.raises(exception.ServiceUnavailable):
            world.conductor.get_console_output(world.context, uuid, 5)

    def test_console_of_a_server_without_host(self, world):
        [uuid] = world.create()
        with pytest.raises(exception.InstanceNotReady):
            world.conductor.get_console_output(world.context, uuid, None)

    def test_external_events(self, world):
        uuid = world.boot()
        [waiting] = world.create()
        world.work.clear()
        events = [
            ExternalEvent(name='network-vif-plugged', server_uuid=one)
            for one in (uuid, 'x', waiting, uuid)
        ]
        assert world.conductor.external_events(world.context, events) == [200, 404, 422, 200]
        assert world.events == [('h1', ['network-vif-plugged'] * 2)]

    def test_power_states(self, world):
        uuids = [world.boot() for _ in range(4)]
        world.conductor.stop_server(world.new_context(), uuids[2])
        world.settle()
        world.conductor.stop_server(world.new_context(), uuids[3])
        states = {uuids[0]: 1, uuids[1]: 4, uuids[2]: 1, uuids[3]: 4, 'unknown': 1}
        assert world.conductor.sync_power_states(world.context, 'h1', states) == [uuids[2]]
        found = [world.server(uuid) for uuid in uuids]
        assert [s.vm_state for s in found] == ['active', 'stopped', 'stopped', 'active']
        assert found[3].task_state == 'powering-off'

    def test_reports_with_an_unknown_fence(self, world):
        uuid = world.boot()
        fence = Fence('x', 1)
        call = world.conductor.call
        assert call('server_progress', uuid, fence, 'spawning', None) is False
        assert call('build_finished', uuid, fence, 1, [], {}) is False
        assert call('work_finished', uuid, fence, WorkResult()) is False
        assert call('delete_finished', uuid, fence) is False
        call('build_failed', uuid, fence, 'no', None, True)
        call('delete_failed', uuid, fence, 'no', None)
        world.check()
        assert world.server(uuid).vm_state == 'active'
