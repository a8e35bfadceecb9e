"""What the pickles of a checkpoint would import, and which of that no policy needs and nobody should load.

Nothing of it is ever run here. But a file that would start a shell when SB3 loads it is not one to build a
policy from, whatever weights it holds.
"""

from collections.abc import Iterable

from sb3port.errors import Unsafe
from sb3port.readers.formats.groups import is_dangerous
from sb3port.readers.formats.records import Global


def refuse_dangerous(imports: Iterable[Global], where: str) -> None:
    """Refuse a file whose pickles name dangerous globals.

    Raises:
        Unsafe: With all of them.
    """
    found = sorted(str(name) for name in imports if is_dangerous(name))
    if found:
        raise Unsafe(
            f"{where} is refused: loading it with SB3 would call or import {', '.join(found)[:2000]}",
            "by such names a file can run commands, load code or reach files, and no policy needs them: "
            "do not load it with any other tool either, unless it is yours",
        )
