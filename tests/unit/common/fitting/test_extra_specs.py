"""Extra specs that no host could make sense of."""

import pytest

from kilonova.common import exception
from kilonova.common.fitting import extra_specs
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image


def check(specs, properties=None):
    flavor = Flavor(flavorid='1', name='f', vcpus=1, memory_mb=1, extra_specs=specs)
    extra_specs.check(flavor, Image(properties=properties or {}))


@pytest.mark.parametrize(
    ('specs', 'properties', 'text'),
    [
        ({'resources:VCPU': 'two'}, {}, "'resources:VCPU' cannot be 'two': it is no amount"),
        ({'resources1:VGPU': '-1'}, {}, "'resources1:VGPU' cannot be '-1'"),
        ({'trait:CUSTOM_A': 'maybe'}, {}, "'trait:CUSTOM_A' cannot be 'maybe'"),
        ({'group_policy': 'all'}, {}, "'group_policy' cannot be 'all'"),
        ({'trait:CUSTOM_A': 'forbidden'}, {'trait:CUSTOM_A': 'required'}, 'the image requires it'),
        ({'trait:CUSTOM_A': 'required'}, {'trait:CUSTOM_A': 'forbidden'}, 'the image forbids it'),
    ],
)
def test_the_key_is_named(specs, properties, text):
    with pytest.raises(exception.InvalidExtraSpec) as caught:
        check(specs, properties)
    assert text in str(caught.value)


def test_what_is_fine():
    specs = {'resources:VCPU': '0', 'trait:CUSTOM_A': 'preferred', 'group_policy': 'none', 'x': 'y'}
    check(specs, {'trait:CUSTOM_A': 'required'})
