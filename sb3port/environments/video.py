"""A film of one episode."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.environments.making import Env, frames_per_second, make_env
from sb3port.environments.rollouts import Actor, Setting, run_episode
from sb3port.errors import UsageError, need
from sb3port.files.staging import staged_file

_SUFFIXES = (".mp4", ".gif")
_FPS, _MOST_FRAMES, _WIDEST = 30, 100, 320
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")


def check_video(path: Path) -> None:
    """Look whether a film can be written there, before anything takes its time.

    Raises:
        UsageError: The suffix is unknown, or what writes it is not installed.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(f"{path} is neither .mp4 nor .gif", "name the film by its format")
    need("video", f"a film such as {path.name}")


def check_display() -> None:
    """Look whether there is a screen to show episodes on.

    Raises:
        UsageError: There is none.
    """
    if sys.platform == "linux" and not any(map(os.environ.get, _DISPLAYS)):
        raise UsageError(
            "--render human needs a display, and there is none here",
            "film an episode instead: --video film.mp4",
        )


def film(actor: Actor, setting: Setting, path: Path, force: bool = False) -> int:
    """Film the episode of the first seed.

    Args:
        actor: Who acts.
        setting: In what; the environment can be drawn.
        path: Where the film shall be; its suffix is its format.
        force: Replace what is there.

    Returns:
        The number of frames: one for the reset and one for each step.

    Raises:
        UsageError: The environment cannot be drawn, or the film cannot be written.
    """
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame needs no window to draw
    env = make_env(setting.env, actor.spec, "rgb_array", setting.wrapping, setting.max_episode_steps)
    try:
        return film_in(env, actor, setting, path, force)
    finally:
        env.close()


def film_in(env: Env, actor: Actor, setting: Setting, path: Path, force: bool = False) -> int:
    """Film the episode of the first seed in an environment that gives pictures; see `film`."""
    with naming_what_draws(setting.env):
        filmed: Any = gymnasium.wrappers.RenderCollection(env)
        for _ in run_episode(filmed, actor, setting.seeds[0], use_masking=setting.use_masking):
            pass
        frames = [_picture(frame, setting.env) for frame in filmed.render()]
    with staged_file(path, force) as staged:
        (_write_gif if path.suffix == ".gif" else _write_mp4)(staged, frames, frames_per_second(env))
    return len(frames)


def check_drawing(env: Env, name: str) -> None:
    """Draw an environment once, before anything takes its time.

    Raises:
        UsageError: It gives no pictures.
    """
    with naming_what_draws(name):
        env.reset(seed=0)
        _picture(env.render(), name)


@contextmanager
def naming_what_draws(name: str) -> Iterator[None]:
    """Say in a sentence what is missing for drawing.

    Raises:
        UsageError: Something is.
    """
    try:
        yield
    except gymnasium.error.DependencyNotInstalled as error:
        raise UsageError(f"{name} cannot be drawn: {str(error).splitlines()[0]}") from error


def _picture(frame: Any, env_id: str) -> Array:
    picture = np.asarray(frame)
    if picture.ndim != 3 or picture.dtype != np.uint8:
        raise UsageError(f"{env_id} cannot be drawn: it gives no pictures")
    return picture


def _write_mp4(path: Path, frames: list[Array], rate: int) -> None:
    import av

    height, width = (side - side % 2 for side in frames[0].shape[:2])  # yuv420p has no odd ones
    with av.open(str(path), mode="w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def small_gif(film: Path) -> tuple[bytes, tuple[int, int]]:
    """Give a film as an animated picture: at most 100 of its frames, at most 320 points wide.

    Args:
        film: An .mp4 of ours.

    Returns:
        The content of a .gif, which takes as long as the film, and its width and height.
    """
    import av

    with av.open(str(film)) as container:
        (stream,) = container.streams.video
        every = max(1, -(-(stream.frames or 1) // _MOST_FRAMES))
        rate = float(stream.average_rate or _FPS) / every
        scale = min(1.0, _WIDEST / stream.width)
        size = round(stream.width * scale), round(stream.height * scale)
        frames = [
            frame.to_ndarray(format="rgb24", width=size[0], height=size[1])
            for number, frame in enumerate(container.decode(stream))
            if number % every == 0
        ]
    content = io.BytesIO()
    _write_gif(content, frames, rate)
    return content.getvalue(), size


def _write_gif(path: Path | io.BytesIO, frames: list[Array], rate: float) -> None:
    from PIL import Image

    milliseconds = max(20, 10 * round(100 / rate))  # less, viewers take for a tenth of a second
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, format="GIF", save_all=True, append_images=others, duration=milliseconds, loop=0)
