"""Run by Debian's own Python: lets cloud-init read a metadata service and a config drive."""

import base64
import json
import sys

from cloudinit.sources.helpers import ec2, openstack


def plain(value):
    return {'base64': base64.b64encode(value).decode()} if isinstance(value, bytes) else str(value)


def main(url: str, folder: str) -> None:
    http = openstack.MetadataReader(url, timeout=20, retries=0)
    # It looks for this part at one address of the link alone, wherever the rest is.
    http._read_ec2_metadata = lambda: ec2.get_instance_metadata(metadata_address=url)
    found = {
        'http': http.read_v2(),
        'drive': openstack.ConfigDriveReader(folder).read_v2(),
    }
    for read in found.values():
        data = read['networkdata']
        macs = {link['ethernet_mac_address']: 'eth0' for link in data['links']}
        read['network_config'] = openstack.convert_net_json(data, known_macs=macs)
    json.dump(found, sys.stdout, default=plain)


main(*sys.argv[1:])
