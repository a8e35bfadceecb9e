"""Port Stable-Baselines3 checkpoints to LeRobot policies, and prove that nothing changed."""

from importlib.metadata import version

__version__ = version("sb3port")
