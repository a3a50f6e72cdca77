from kilonova.compute.virt.libvirt.xml.disk import Disk
from kilonova.compute.virt.libvirt.xml.element import Element, at
from kilonova.compute.virt.libvirt.xml.metadata import NAMESPACE, Instance


class Leaf(Element):
    TAG = 'leaf'

    name: str = at('@name')


class Tree(Element):
    TAG = 'tree'

    height: int | None = at('size/@height', default=None)
    width: int | None = at('size/@width', default=None)
    evergreen: bool = at('evergreen', default=False)
    kind: str = at('kind', default='oak')
    first: Leaf | None = at('.', default=None)
    crown: list[Leaf] = at('crown', default_factory=list)


def test_fields_stand_at_their_paths() -> None:
    tree = Tree(height=3, width=2, evergreen=True, first=Leaf(name='a'), crown=[Leaf(name='b')])
    assert tree.to_xml() == (
        '<tree>\n'
        '  <size height="3" width="2"/>\n'
        '  <evergreen/>\n'
        '  <kind>oak</kind>\n'
        '  <leaf name="a"/>\n'
        '  <crown>\n'
        '    <leaf name="b"/>\n'
        '  </crown>\n'
        '</tree>\n'
    )


def test_what_is_not_set_leaves_nothing_behind() -> None:
    assert Tree().to_xml() == '<tree>\n  <kind>oak</kind>\n</tree>\n'


def test_values_are_escaped() -> None:
    assert 'name="&lt;&quot;&amp;"' in Leaf(name='<"&').to_xml()


def test_parse_reads_back_what_was_built() -> None:
    tree = Tree(height=3, evergreen=True, kind='elm')
    assert Tree.parse(tree.build()) == tree
    disk = Disk(format='raw', path='/a', target='vda', bus='virtio', readonly=True, cache='none')
    assert Disk.parse(disk.build()) == disk


def test_metadata_has_novas_namespace() -> None:
    found = Instance(
        version='1',
        name='n',
        created='now',
        flavor='f',
        memory=1,
        disk=2,
        swap=3,
        ephemeral=4,
        vcpus=5,
        user_id='u',
        project_id='p',
    ).build()
    assert found.tag == f'{{{NAMESPACE}}}instance'
    user = found.find(f'{{{NAMESPACE}}}owner/{{{NAMESPACE}}}user')
    assert user is not None and user.get('uuid') == 'u'
