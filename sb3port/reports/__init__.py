"""Parity reports as files: JSON, Markdown, JUnit XML and HTML, all from the JSON alone, without torch."""
