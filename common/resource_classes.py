"""Names of resource classes for PCI devices."""

import re
from collections.abc import Mapping

import os_resource_classes


def normalise(device: Mapping[str, str]) -> str:
    """Return the class that a device's tags or an alias name, else the one of its ids."""
    name = device.get('resource_class')
    if not name:
        return f'CUSTOM_PCI_{device["vendor_id"]}_{device["product_id"]}'.upper()
    name = re.sub('[^A-Z0-9_]', '_', name.upper())
    if name in os_resource_classes.STANDARDS or name.startswith('CUSTOM_'):
        return name
    return f'CUSTOM_{name}'
