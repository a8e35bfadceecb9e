"""TensorBoard: event files below the folder of the run, where SB3 puts them.

Source: `TensorBoardOutputFormat` and `configure_logger` of SB3.
"""

from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard.summary import hparams
from torch.utils.tensorboard.writer import FileWriter, SummaryWriter

from sb3port.environments.video import small_gif
from sb3port.errors import NotPortable
from sb3port.ppo.tracking.base import FILM, METRICS, TrackedRun, Tracker, of_tensorboard

FOLDER = "tensorboard"


class TensorBoard(Tracker):
    """`DIR/tensorboard/PPO_1`, or the next number where there is one.

    A run that goes on does so in its own folder, as `learn(reset_num_timesteps=False)` does. TensorBoard then
    hides what the part that was cut off wrote of later steps.
    """

    def __init__(self, run: TrackedRun) -> None:
        self.known = _folder(run)
        purge = run.done + 1 if run.known else None
        self._writer = SummaryWriter(str(run.out / FOLDER / self.known), purge_step=purge, flush_secs=10)
        self._file: FileWriter = self._writer._get_file_writer()
        if run.known is None:
            for part in hparams(dict(run.settings), dict.fromkeys(METRICS, 0.0)):
                self._file.add_summary(part)

    def log(self, values: Mapping[str, float | int], step: int) -> None:
        """Write one event with all numbers, which takes less time than one for each."""
        rows = [Summary.Value(tag=tag, simple_value=value) for tag, value in of_tensorboard(values).items()]
        self._file.add_summary(Summary(value=rows), step)

    def checkpoint(self, port: Path, step: int) -> None:
        """Say where the port lies: TensorBoard has no artefacts."""
        self._writer.add_text("checkpoint", str(port), step)
        self._writer.flush()

    def film(self, film: Path, step: int) -> None:
        """Write the film as an animated picture, small: TensorBoard keeps all of it in the event file."""
        content, (width, height) = small_gif(film)
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=content)
        self._file.add_summary(Summary(value=[Summary.Value(tag=FILM, image=image)]), step)

    def finish(self, failed: bool) -> None:  # noqa: ARG002 (it has no such word)
        """Write what is left."""
        self._writer.close()


def _folder(run: TrackedRun) -> str:
    """Give the name of the run's folder; the number counts up as in SB3's `get_latest_run_id`."""
    begin = f"{run.algorithm}_"
    if run.known is not None:
        if not run.known.startswith(begin) or not run.known.removeprefix(begin).isdecimal():
            raise NotPortable(f"the run is {run.known!r} in TensorBoard, which is no name of ours")
        return run.known
    names = [path.name.removeprefix(begin) for path in (run.out / FOLDER).glob(f"{begin}*")]
    return f"{begin}{max((int(name) for name in names if name.isdecimal()), default=0) + 1}"
