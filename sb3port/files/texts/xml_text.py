"""Text for XML 1.0, which forbids most control characters and surrogates, even as references."""

from collections.abc import Iterable, Mapping
from xml.etree import ElementTree as Xml

from sb3port.files.texts.characters import one_line
from sb3port.files.texts.media import Medium, filled


class XmlText(Medium):
    """Text that can stand in an element or an attribute, where it is quoted when it is written."""


class XmlFile(Medium):
    """A whole file."""


def xml_text(template: str, *arguments: object) -> XmlText:
    """Fill a template, which is written in the source; of what is not `XmlText` the text is escaped."""

    def given(argument: object) -> str:
        return argument.text if isinstance(argument, XmlText) else one_line(str(argument))

    return XmlText("".join(filled(template, arguments, str, given)))


def element(
    tag: str,
    attributes: Mapping[str, XmlText],
    children: Iterable[Xml.Element] = (),
    text: XmlText | None = None,
) -> Xml.Element:
    """Give an element; its tag and the names of its attributes are written in the source."""
    found = Xml.Element(tag, {name: value.text for name, value in attributes.items()})
    found.extend(children)
    found.text = None if text is None else text.text
    return found


def xml_file(root: Xml.Element) -> XmlFile:
    """Write a file, indented."""
    Xml.indent(root)
    return XmlFile(f'<?xml version="1.0" encoding="utf-8"?>\n{Xml.tostring(root, encoding="unicode")}\n')
