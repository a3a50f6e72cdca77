"""Values of extra specs, with the reference's list where it is present."""

import csv

import pytest

from kilonova.api import extra_spec_checks
from kilonova.common import exception
from kilonova.tests.unit.api import reference


@pytest.mark.parametrize(
    'name, value',
    [
        ('hw:numa_cpus.0', '0-3,^2'),
        ('hw:numa_mem.1', '512'),
        ('hw:mem_page_size', '2MB'),
        ('trait:HW_CPU_X86_AVX2', 'required'),
        ('trait1:CUSTOM_GOLD', 'forbidden'),
        ('resources_NIC:CUSTOM_FPGA', '2'),
        ('resources:VCPU', '0'),
        ('aggregate_instance_extra_specs:ssd', 'true'),
        ('capabilities:cpu_info:arch', '<in> x86_64'),
        ('quota:disk_read_bytes_sec', '0'),
        ('pci_passthrough:alias', 'gpu:1, nic:2'),
        ('hw:redirected_usb_ports', '15'),
        ('my:own', 'anything'),
        ('own', 'anything'),
        ('group_policy', 'isolate'),
    ],
)
def test_good(name: str, value: str) -> None:
    extra_spec_checks.check(name, value)


@pytest.mark.parametrize(
    'name, value',
    [
        ('hw:numa_nodes', '0'),
        ('hw:numa_nodes', 'one'),
        ('hw:numa_cpus.x', '0'),
        ('hw:cpu_realtime', 'perhaps'),
        ('hw:redirected_usb_ports', '16'),
        ('trait:HW_CPU_X86_AVX2', 'perhaps'),
        ('trait:NO_SUCH_TRAIT', 'required'),
        ('resources:NO_SUCH_CLASS', '1'),
        ('resources:VCPU', 'x'),
        ('pci_passthrough:alias', 'gpu'),
        ('quota:cpu_shares_level', 'odd'),
        ('group_policy', 'both'),
        ('os:unknown', 'x'),
    ],
)
def test_bad(name: str, value: str) -> None:
    with pytest.raises(exception.Invalid, match='extra spec'):
        extra_spec_checks.check(name, value)


def test_all_names_of_the_reference_are_known() -> None:
    with reference.file('extra_specs.csv').open(newline='') as file:
        for row in csv.DictReader(file):
            name = row['key'].replace('{group}', '1').replace('{num}', '0')
            name = name.replace('{filter}', '').replace('{key}', 'k')
            name = name.replace('{resource}', 'X').replace('{trait}', 'X')
            check = extra_spec_checks._find(name)
            assert check is not None, name
            for word in filter(None, row['enum'].split(' | ')):
                assert check(word), (name, word)
            for bound, step in ((row['min'], -1), (row['max'], 1)):
                if bound:
                    assert check(bound) and not check(str(int(bound) + step)), name
