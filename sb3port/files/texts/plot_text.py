"""Text in pictures: matplotlib takes what is between two dollar signs for a formula."""

from sb3port.files.texts.characters import one_line
from sb3port.files.texts.media import Medium, filled

_LONGEST = 120


class PlotText(Medium):
    """Text that matplotlib draws as it is."""


def plot_text(template: str, *arguments: object) -> PlotText:
    """Fill a template, which is written in the source; what is not `PlotText` is escaped, and cut."""

    def given(argument: object) -> str:
        if isinstance(argument, PlotText):
            return argument.text
        text = one_line(str(argument))
        return (f"{text[: _LONGEST - 1]}…" if len(text) > _LONGEST else text).replace("$", r"\$")

    return PlotText("".join(filled(template, arguments, str, given)))
