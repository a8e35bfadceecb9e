"""A film of one episode."""

import os
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from sb3port.checkpoint.checkpoint import Array
from sb3port.environments.making import frames_per_second, make_env
from sb3port.environments.rollouts import Actor, Setting, run_episode
from sb3port.errors import UsageError, need
from sb3port.files.staging import staged_file

_SUFFIXES = (".mp4", ".gif")


def check_video(path: Path) -> None:
    """Look whether a film can be written there, before anything takes its time.

    Raises:
        UsageError: The suffix is unknown, or what writes it is not installed.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(f"{path} is neither .mp4 nor .gif", "name the film by its format")
    need("video", f"a film such as {path.name}")


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
    env_id, seed = setting.env, setting.seeds[0]
    limit = setting.max_episode_steps
    env = make_env(env_id, actor.spec, "rgb_array", setting.wrapping, limit)
    try:
        filmed: Any = gymnasium.wrappers.RenderCollection(env)
        for _ in run_episode(filmed, actor, seed, use_masking=setting.use_masking):
            pass
        frames = [_picture(frame, env_id) for frame in filmed.render()]
        rate = frames_per_second(env)
    except gymnasium.error.DependencyNotInstalled as error:
        raise UsageError(f"{env_id} cannot be drawn: {str(error).splitlines()[0]}") from error
    finally:
        env.close()
    with staged_file(path, force) as staged:
        (_write_gif if path.suffix == ".gif" else _write_mp4)(staged, frames, rate)
    return len(frames)


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


def _write_gif(path: Path, frames: list[Array], rate: int) -> None:
    from PIL import Image

    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, duration=1000 / rate, loop=0)
