"""A report of a port that could not be read: in an index of several, none of them may be missing."""

from typing import Any

from sb3port.reports.json_text import Report

_NUMBERS = ("max_abs", "mean_abs", "max_rel", "max_ulp", "noise", "times_noise", "worst", "histogram")


def unread(name: str, reason: str) -> dict[str, Any]:
    """Give an inconclusive report, in which nothing was compared.

    Args:
        name: Of the port.
        reason: Why it could not be read, or its source.
    """
    return {
        "schema": "sb3port.parity",
        "version": 1,
        "verdict": "inconclusive",
        "causes": [],
        "source": {"kind": "", "location": "", "revision": None, "sb3_version": None, "files": {}},
        "port": {"name": name, "files": {}},
        "model": dict.fromkeys(("algorithm", "observation_space", "action_space", "policy"), ""),
        "tolerance": {"floor": 1e-6, "noise_factor": 8, "atol": None},
        "observations": [],
        "checks": [_check(reason)],
        "tensors": [],
        "environment": {},
    }


def is_unread(report: Report) -> bool:
    """Whether a report says no more than that there was nothing to read."""
    return not report["model"]["algorithm"] and not report["source"]["files"]


def _check(reason: str) -> dict[str, Any]:
    return {
        "id": "integrity.port",
        "stage": "integrity",
        "output": "port",
        "observations": None,
        "against": "source",
        "verdict": "inconclusive",
        "informational": False,
        "reason": reason,
        "count": 0,
        "shape": [],
        **dict.fromkeys(_NUMBERS),
        "pairs": [],
    }
