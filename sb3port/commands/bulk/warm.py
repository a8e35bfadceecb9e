"""What every worker needs, imported once before workers are forked."""

import yaml  # noqa: F401

import sb3port.commands.bulk.work
import sb3port.ports.card.card
import sb3port.readers.meaning.sb3  # noqa: F401
