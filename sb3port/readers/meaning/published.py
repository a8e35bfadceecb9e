"""What the authors of a checkpoint say that it earns: `results.json`, or the model card's `model-index`.

They lie beside a local source; of a repository on the Hub they are those of the recorded revision.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sb3port.checkpoint.checkpoint import Provenance
from sb3port.errors import NotPortable
from sb3port.files.untrusted import parse_json, read_untrusted
from sb3port.readers.formats.zoo_yaml import read_front_matter
from sb3port.readers.places.recorded import is_where_recorded
from sb3port.readers.places.source import is_within

_RESULTS, _CARD = "results.json", "README.md"
_MEAN_AND_STD = re.compile(
    r"\s*([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)\s*(?:(?:\+/-|±)\s*([0-9.]+(?:e[-+]?[0-9]+)?))?\s*"
)
_MAX_SIZE = 2**20


@dataclass(frozen=True)
class PublishedResult:
    """A mean return, as published.

    Args:
        mean: Mean return.
        std: Standard deviation of the returns, None where nobody says.
        episodes: How many there were, None where nobody says.
        file: Name of the file that says so.
    """

    mean: float
    std: float | None
    episodes: int | None
    file: str

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return dict(vars(self))


def published_result(provenance: Provenance) -> PublishedResult | None:
    """Find the published return of a source, None where nothing within reach tells it."""
    for name, read in ((_RESULTS, _from_results), (_CARD, _from_card)):
        path = _local_file(provenance, name)
        if path is None:
            continue
        try:
            return read(path)
        except (NotPortable, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError):
            continue  # it is written by hand, and need not say anything
    return None


def _local_file(provenance: Provenance, name: str) -> Path | None:
    if provenance.kind == "hub":
        return _hub_file(provenance, name)
    if not is_where_recorded(provenance):
        return None
    place = Path(provenance.location)
    path = (place if provenance.kind == "folder" else place.parent) / name
    return path if is_within(path, path.parent) else None


def _hub_file(provenance: Provenance, name: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(hf_hub_download(provenance.location, name, revision=provenance.revision))
    except (HfHubHTTPError, OSError, ValueError):  # absent, or offline
        return None


def _from_results(path: Path) -> PublishedResult:
    content: Mapping[str, Any] = parse_json(read_untrusted(path, at_most=_MAX_SIZE), path.name)
    std, episodes = content.get("std_reward"), content.get("n_eval_episodes")
    return _result(float(content["mean_reward"]), std, episodes, path)


def _from_card(path: Path) -> PublishedResult:
    """Read the first `mean_reward`, which huggingface_sb3 writes as "-150.02 +/- 86.39"."""
    results = [
        result for model in read_front_matter(path, path.name)["model-index"] for result in model["results"]
    ]
    metrics = [metric for result in results for metric in result["metrics"]]
    values = [str(metric["value"]) for metric in metrics if metric["type"] == "mean_reward"]
    found = _MEAN_AND_STD.fullmatch(values[0])
    if found is None:
        raise ValueError(f"{values[0]!r} is no mean return")
    return _result(float(found[1]), found[2], None, path)


def _result(mean: float, std: Any, episodes: Any, path: Path) -> PublishedResult:
    spread = None if std is None else float(std)
    if not all(math.isfinite(number) for number in (mean, spread or 0.0)):
        raise ValueError("it is not finite")
    return PublishedResult(mean, spread, None if episodes is None else int(episodes), path.name)
