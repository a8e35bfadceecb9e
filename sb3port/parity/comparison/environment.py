"""What a result depends on beside its inputs."""

import platform
import sys
from importlib.metadata import version
from typing import Any


def environment() -> dict[str, Any]:
    """Name versions, device and threads, and the instructions that torch uses once it is imported."""
    packages = ("sb3port", "lerobot", "stable-baselines3", "sb3-contrib", "torch", "numpy")
    torch = sys.modules.get("torch")
    capability = {"cpu_capability": torch.backends.cpu.get_cpu_capability()} if torch else {}
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "device": "cpu",
        "threads": 1,
        **capability,
    }
