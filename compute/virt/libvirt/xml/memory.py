"""<memoryBacking> and <numatune>: which pages of which host nodes guest memory is made of."""

from kilonova.compute.virt.libvirt.xml.element import Element, at


class Page(Element):
    """Huge pages of a size in KiB, for the guest nodes named."""

    TAG = 'page'

    size: int = at('@size')
    unit: str = at('@unit', default='KiB')
    nodeset: str | None = at('@nodeset', default=None)


class MemoryBacking(Element):
    """How guest memory is kept."""

    TAG = 'memoryBacking'

    pages: list[Page] = at('hugepages', default_factory=list)
    not_shared: bool = at('nosharepages', default=False)
    locked: bool = at('locked', default=False)
    source: str | None = at('source/@type', default=None)
    access: str | None = at('access/@mode', default=None)
    allocation: str | None = at('allocation/@mode', default=None)
    discard: bool = at('discard', default=False)


class MemNode(Element):
    """On which host nodes one guest node's memory is."""

    TAG = 'memnode'

    cell: int = at('@cellid')
    mode: str = at('@mode', default='strict')
    nodeset: str = at('@nodeset')


class NumaTune(Element):
    TAG = 'numatune'

    mode: str = at('memory/@mode', default='strict')
    nodeset: str = at('memory/@nodeset')
    nodes: list[MemNode] = at('.', default_factory=list)
