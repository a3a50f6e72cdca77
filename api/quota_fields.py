"""Names of quota resources, and the versions that show them."""

from kilonova.api.versions import Version

ALWAYS = ('instances', 'cores', 'ram', 'metadata_items', 'key_pairs')
GROUPS = ('server_groups', 'server_group_members')
FILES = ('injected_files', 'injected_file_content_bytes', 'injected_file_path_bytes')
NETWORK = ('floating_ips', 'fixed_ips', 'security_groups', 'security_group_rules')
"""Counted by Neutron for a long time; older versions show a limit that stops nobody."""

UNLIMITED = -1


def of_sets(version: Version) -> tuple[str, ...]:
    """Return what os-quota-sets shows and takes."""
    if version < (2, 36):
        return (*ALWAYS, *GROUPS, *FILES, *NETWORK)
    return (*ALWAYS, *GROUPS, *FILES) if version < (2, 57) else (*ALWAYS, *GROUPS)


def of_classes(version: Version) -> tuple[str, ...]:
    """Return what os-quota-class-sets shows and takes."""
    if version < (2, 50):
        return (*ALWAYS, *FILES, *NETWORK)
    return of_sets(version)


LIMIT = {
    'type': ['integer', 'string'],
    'pattern': '^-?[0-9]+$',
    'minimum': -1,
    'maximum': 2147483647,
}
