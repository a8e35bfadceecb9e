"""The settings of `huggingface_hub`, changed for one test within the process."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from .state import LoopbackHub

DEAD_ENDPOINT = "http://127.0.0.1:9"  # discard: nobody listens there
OFFLINE_WAYS = ["offline mode", "dead endpoint", "not a hub", "429", "500", "503"]


class Client:
    """What the environment variables of `huggingface_hub` set, changed in the running library.

    The library reads its variables once, when it is imported, into `huggingface_hub.constants`; the functions
    look them up there at each call (measured with 1.6 and 1.33), so that is where a test can change them.
    """

    def __init__(self, patch: pytest.MonkeyPatch, home: Path) -> None:
        self.patch = patch
        self.cache = home / "hub"
        patch.setattr(constants, "HF_HUB_CACHE", str(self.cache))
        patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the loopback Hub speaks LFS
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            patch.delenv(name, raising=False)
        self.offline(False)

    def point_to(self, endpoint: str) -> None:
        """Set `HF_ENDPOINT`."""
        self.patch.setattr(constants, "ENDPOINT", endpoint)
        template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        self.patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    def offline(self, offline: bool = True) -> None:
        """Set `HF_HUB_OFFLINE`."""
        self.patch.setattr(constants, "HF_HUB_OFFLINE", offline)

    def log_in(self, token: str) -> None:
        """Set `HF_TOKEN`."""
        self.patch.setenv("HF_TOKEN", token)


def go_offline(way: str, client: Client, hub: LoopbackHub) -> None:
    """Take the Hub away, in one of the ways that the world has for it."""
    match way:
        case "offline mode":
            client.offline()
        case "dead endpoint":
            client.point_to(DEAD_ENDPOINT)
        case "not a hub":
            hub.failing = 200
        case status:
            hub.failing = int(status)
