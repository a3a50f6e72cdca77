"""Where a guest finds its devices, as libvirt says it."""

from lxml import etree

from kilonova.common.objects.place import Place
from kilonova.compute.virt.libvirt import places

DOMAIN = """
<domain><devices>
  <disk type="file" device="disk"><target dev="vda" bus="virtio"/>
    <address type="pci" domain="0x0000" bus="0x0a" slot="0x1f" function="0x7"/></disk>
  <disk type="file" device="disk"><target dev="sda" bus="scsi"/>
    <address type="drive" controller="1" bus="0" target="2" unit="3"/></disk>
  <disk type="file" device="cdrom"><target dev="hda" bus="ide"/>
    <address type="drive" controller="0" bus="1" target="0" unit="0"/></disk>
  <disk type="file" device="disk"><target dev="sdb" bus="sata"/>
    <address type="drive" controller="0" bus="0" target="0" unit="2"/></disk>
  <disk type="file" device="disk"><target dev="sdc" bus="usb"/>
    <address type="usb" bus="0" port="2"/></disk>
  <disk type="file" device="disk"><target dev="vdb" bus="virtio"/></disk>
  <disk type="file" device="disk"><target dev="vdc" bus="virtio"/>
    <address type="ccw" cssid="0xfe" ssid="0x0" devno="0x0001"/></disk>
  <interface type="bridge"><mac address="FA:16:3E:00:00:01"/>
    <address type="pci" domain="0x0000" bus="0x00" slot="0x03" function="0x0"/></interface>
  <interface type="hostdev"><mac address="fa:16:3e:00:00:02"/>
    <source><address type="pci" domain="0x0000" bus="0x81" slot="0x10" function="0x2"/></source>
    <address type="pci" domain="0x0000" bus="0x00" slot="0x04" function="0x0"/></interface>
</devices></domain>
"""


def test_every_bus() -> None:
    assert places.read(etree.fromstring(DOMAIN)) == {
        'vda': Place(bus='pci', address='0000:0a:1f.7'),
        'sda': Place(bus='scsi', address='1:0:2:3'),
        'hda': Place(bus='ide', address='1:0'),
        'sdb': Place(),
        'sdc': Place(bus='usb'),
        'vdb': Place(),
        'vdc': Place(),
        'fa:16:3e:00:00:01': Place(bus='pci', address='0000:00:03.0'),
        'fa:16:3e:00:00:02': Place(bus='pci', address='0000:00:04.0'),
    }


def test_nothing() -> None:
    assert places.read(etree.fromstring('<domain/>')) == {}
