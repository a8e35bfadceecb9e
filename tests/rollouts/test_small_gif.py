"""Films as small moving pictures, which TensorBoard can show."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sb3port.environments.video import _write_mp4, small_gif


@pytest.mark.parametrize(
    ("count", "shape", "kept", "size"), [(210, (16, 640), 70, (320, 8)), (7, (16, 32), 7, (32, 16))]
)
def test_a_film_becomes_a_small_picture(
    count: int, shape: tuple[int, int], kept: int, size: tuple[int, int], tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    frames = [draw.integers(0, 256, (*shape, 3), np.uint8) for _ in range(count)]
    _write_mp4(tmp_path / "film.mp4", frames, 50)
    content, found = small_gif(tmp_path / "film.mp4")
    picture = Image.open(io.BytesIO(content))
    assert found == picture.size == size
    assert picture.n_frames == kept
    assert kept * picture.info["duration"] == pytest.approx(1000 * count / 50, rel=0.05)
