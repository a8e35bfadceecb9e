"""Callbacks for SB3's own `learn`, which keep what it trains as ports."""

import random
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from sb3port.commands.convert import Conversion, ConvertOptions, convert
from sb3port.commands.policies import read_options
from sb3port.errors import Sb3portError, UsageError
from sb3port.exports.sb3_models import save_sb3_model
from sb3port.parity.oracle.sb3_policies import ALGORITHMS


class PortCallback(BaseCallback):  # type: ignore[misc] # SB3's callbacks import what is not typed
    """Save the model as a verified port every so many steps, with the statistics of its VecNormalize.

    It saves as `stable_baselines3.common.callbacks.CheckpointCallback` does, and converts what was saved. The
    training's random numbers are not touched: it goes on as it would have without.

    Args:
        every: After how many steps of all environments together a port is saved; one more at the end.
        dest: The folder for ports, called `<name_prefix>_<steps>_steps`; one that is there is replaced.
        name_prefix: What they are called.
        save_zip: Whether SB3's zip and `vec_normalize.pkl` are kept beside each port, in a folder of its name
            with `_sb3` at its end. `sb3port verify` can compare the port anew then.
        verify: False to save ports without comparing them with the model.
        verbose: 1 to tell SB3's logger where each port lies.

    Attributes:
        ports: Those that were saved, the newest last.

    Warns:
        UserWarning: A model could not be ported; its zip is kept all the same, and the training goes on.

    Raises:
        sb3port.errors.UsageError: When the training begins, where the algorithm is none that is ported.
    """

    def __init__(
        self,
        every: int,
        dest: str | Path,
        name_prefix: str = "model",
        save_zip: bool = False,
        verify: bool = True,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        if every < 1:
            raise UsageError(f"every is {every}, where a number of steps is expected", "name at least 1")
        self.every, self.dest, self.name_prefix = every, Path(dest), name_prefix
        self.save_zip, self.verify = save_zip, verify
        self.ports: list[Path] = []
        self._saved = 0

    def _init_callback(self) -> None:
        if type(self.model) not in ALGORITHMS.values():
            raise UsageError(
                f"{type(self.model).__name__} is not ported",
                f"PortCallback is for {', '.join(cls.__name__ for cls in ALGORITHMS.values())}",
            )

    def _on_training_start(self) -> None:
        self._saved = self.num_timesteps

    def _on_step(self) -> bool:
        if self.num_timesteps - self._saved >= self.every:
            self._save()
        return True

    def _on_training_end(self) -> None:
        if self.num_timesteps > self._saved:
            self._save()

    def _save(self) -> None:
        self._saved = self.num_timesteps
        name = f"{self.name_prefix}_{self.num_timesteps}_steps"
        with tempfile.TemporaryDirectory(prefix="sb3port-") as scratch, _random_numbers_kept():
            folder = self.dest / f"{name}_sb3" if self.save_zip else Path(scratch)
            save_sb3_model(self.model, folder, "model")
            try:
                self._port(folder, self.dest / name)
            except Sb3portError as error:
                kept = self.dest / f"{name}_sb3"
                save_sb3_model(self.model, kept, "model")
                warnings.warn(
                    f"{name} was not ported, and {kept} holds SB3's zip: {error.message}", stacklevel=2
                )

    def _port(self, folder: Path, dest: Path) -> None:
        reading = read_options("model.zip", sandbox=False)
        options = ConvertOptions(reading, self.verify, force=True, reload=False)
        done: Conversion = convert(str(folder), dest, options, lambda *_: None)
        self.ports.append(done.port)
        if self.verbose:
            verdict = f", {done.report.verdict}" if done.report else ""
            self.logger.info(f"Saving a port to {done.port}{verdict}")


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """Leave the random generators of this process as they are."""
    before: tuple[Any, ...] = (random.getstate(), np.random.get_state(), torch.get_rng_state())
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
