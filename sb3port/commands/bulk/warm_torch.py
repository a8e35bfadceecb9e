"""What workers that verify need beside `warm`: torch and SB3, whose imports take seconds."""

import sys
from contextlib import suppress

import sb3port.commands.bulk.warm

with suppress(ImportError):  # who needs them says so
    import sb3_contrib
    import stable_baselines3  # noqa: F401
    import torch

    import sb3port.commands.evaluate
    import sb3port.commands.observation_sets
    import sb3port.commands.verify_behaviour
    import sb3port.commands.verify_update
    import sb3port.exports.checks
    import sb3port.parity.checks.checks  # noqa: F401

    torch.set_num_threads(1)
    assert "sb3_contrib" in sys.modules, sb3_contrib
