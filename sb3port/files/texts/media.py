"""What all media have in common: values of a type of their own, and templates that fill them.

A `str` is a stranger's. What is ready for a medium is a `Medium`, and no `str`, so that a type checker
refuses the one where the other is needed. Only the functions of this folder make one: of a template, which is
written in the source, and of arguments, which they escape unless those are of the medium already.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Medium:
    """Text that is ready for one medium; each medium is a class.

    Args:
        text: As the medium wants it. As a `str` it is a stranger's again.
    """

    text: str

    def __str__(self) -> str:
        return self.text


M = TypeVar("M", bound=Medium)


def filled(
    template: str,
    arguments: Sequence[object],
    own: Callable[[str], T],
    given: Callable[[object], T],
) -> Iterator[T]:
    """Give the parts of a template in their order.

    Args:
        template: With `{}` for each argument, or with a format, such as `{:,}`.
        arguments: One for each.
        own: Makes a part of what stands in the template.
        given: Makes a part of an argument; one with a format comes as text.

    Raises:
        TypeError: There are more arguments than places, or fewer.
    """
    fields = [field for field in Formatter().parse(template) if field[1] is not None]
    if len(fields) != len(arguments):
        raise TypeError(f"{template!r} has {len(fields)} places for {len(arguments)} arguments")
    left = iter(arguments)
    for text, name, form, _ in Formatter().parse(template):
        if text:
            yield own(text)
        if name is not None:
            argument = next(left)
            yield given(format(argument, form) if form else argument)


def joined(kind: type[M], separator: str, parts: Iterable[M]) -> M:
    """Join parts of one medium.

    Args:
        kind: The medium.
        separator: Put between them, written in the source.
        parts: Any number.
    """
    return kind(separator.join(part.text for part in parts))
