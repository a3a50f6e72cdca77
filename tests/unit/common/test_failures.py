"""Exceptions as they are told of on the bus."""

import pytest

from kilonova.common import exception
from kilonova.common.notifications import failures


def _fail() -> None:
    raise exception.VirtDriverError(reason='cannot open /var/lib/nova/instances/x/disk')


def test_where_and_what() -> None:
    with pytest.raises(exception.VirtDriverError) as caught:
        _fail()
    said = failures.describe(caught.value)
    assert (said.exception, said.function_name) == ('VirtDriverError', '_fail')
    assert said.module_name and said.module_name.endswith('test_failures')
    assert said.exception_message == 'cannot open disk'
    assert said.traceback.endswith('VirtDriverError: cannot open disk\n')
    assert __file__ not in said.traceback and '/var/' not in said.traceback


def test_one_that_was_never_raised() -> None:
    said = failures.describe(ValueError('x'))
    assert (said.module_name, said.function_name, said.exception) == (None, None, 'ValueError')


@pytest.mark.parametrize(
    'text, clean',
    [
        ('rabbit://nova:secret@bus:5672/ is away', 'rabbit://***:***@bus:5672/ is away'),
        ("adminPass='hunter2'", "adminPass='***'"),
        ('GET http://glance:9292/v2/images/x failed', 'GET http://glance:9292/v2/images/x failed'),
        ("[Errno 2] No such file: '/etc/ceph/a.conf'", "[Errno 2] No such file: 'a.conf'"),
        ('qemu-img: /srv/a/b.qcow2: broken', 'qemu-img: b.qcow2: broken'),
        ('1/2 of the hosts', '1/2 of the hosts'),
    ],
)
def test_what_nobody_should_read(text: str, clean: str) -> None:
    assert failures.clean(text) == clean
