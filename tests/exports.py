"""Exporting in tests, without a word."""

from pathlib import Path
from typing import Any

from sb3port.commands.export import Export, ExportOptions, export, repair
from sb3port.commands.policies import ReadOptions

# What today's SB3 alone has no policy for, of `fixtures/eras`, and why.
REFUSED = {
    "1.0/ppo-gsde-features": "sde_net_arch",
    "1.8.0/ppo-squash-without-sde": "squash_output",
    "2.2.1/ppo-imitation": "NormalizeFeaturesExtractor",
    "2.2.1/ppo-imitation-apart": "NormalizeFeaturesExtractor",
}


def export_of(port: Path, dest: Path, **options: Any) -> Export:
    """Export a port."""
    return export(port, dest, ReadOptions(), ExportOptions(**options), lambda *_: None)


def repaired(source: Path, dest: Path, use_stats: bool = True, **options: Any) -> Export:
    """Repair a checkpoint."""
    reading = ReadOptions(use_stats=use_stats)
    return repair(str(source), dest, reading, ExportOptions(**options), lambda *_: None)


def zip_of(done: Export) -> Path:
    """Give the zip of an export to SB3."""
    return next(done.folder.glob("*.zip"))
