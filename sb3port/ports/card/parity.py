"""What a parity report says, for a model card."""

from sb3port.reports.json_text import Report
from sb3port.reports.markdown import render_markdown


def parity_text(report: Report) -> str:
    """Tell in Markdown what a report says, below a heading of the second level."""
    return render_markdown(report, level=3).strip()
