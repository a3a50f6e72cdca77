"""<nova:instance>: what tells our domains from other people's, in Nova's format."""

from kilonova.compute.virt.libvirt.xml.element import Element, at

NAMESPACE = 'http://openstack.org/xmlns/libvirt/nova/1.1'
NOVA = {'nova': NAMESPACE}


class Port(Element):
    TAG, NAMESPACES = 'nova:port', NOVA

    uuid: str = at('@uuid')
    ips: list['Ip'] = at('.', default_factory=list)


class Ip(Element):
    TAG, NAMESPACES = 'nova:ip', NOVA

    type: str = at('@type', default='fixed')
    address: str = at('@address')
    version: int = at('@ipVersion')


class Instance(Element):
    """The server behind the domain, for whoever looks at the host."""

    TAG, NAMESPACES = 'nova:instance', NOVA

    version: str = at('nova:package/@version')
    name: str = at('nova:name')
    created: str = at('nova:creationTime')
    flavor: str = at('nova:flavor/@name')
    memory: int = at('nova:flavor/nova:memory')
    disk: int = at('nova:flavor/nova:disk')
    swap: int = at('nova:flavor/nova:swap')
    ephemeral: int = at('nova:flavor/nova:ephemeral')
    vcpus: int = at('nova:flavor/nova:vcpus')
    user: str | None = at('nova:owner/nova:user', default=None)
    user_id: str = at('nova:owner/nova:user/@uuid')
    project: str | None = at('nova:owner/nova:project', default=None)
    project_id: str = at('nova:owner/nova:project/@uuid')
    root_type: str | None = at('nova:root/@type', default=None)
    root_id: str | None = at('nova:root/@uuid', default=None)
    ports: list[Port] = at('nova:ports', default_factory=list)
