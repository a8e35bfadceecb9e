"""Wrong ways to read masks, memory, images, choices and Dicts: verification must notice every one of them.

The ports are right, and the policy that runs them is made wrong, or the port says something wrong of its
spaces. Each case names an output that must fail, and one, where there is such, that must not.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sb3port.networks import categorical, preprocessing, recurrent
from sb3port.networks.actor_critic import ActorCritic
from sb3port.parity.comparison.report import ParityReport
from tests.conformance.cases import sampled
from tests.ports import port_of, verified

ERAS = Path(__file__).parents[2] / "fixtures" / "eras"
MASKED, MASKED_GROUPS, MASKED_BITS = (
    "1.6.2/ppo_mask-shared",
    "1.8.0/ppo_mask-multidiscrete",
    "2.3.2/ppo_mask-multibinary",
)
RECURRENT, ONE_LSTM, TWO_LAYERS = (
    "1.8.0/ppo_lstm-separate",
    "1.6.2/ppo_lstm-shared",
    "2.9.2/ppo_lstm-two-layers",
)
IMAGE, DICT, DISCRETE, MULTI = (
    "2.9.2/ppo-cnn-rgb",
    "2.9.2/ppo-dict-unsorted",
    "1.0/a2c-discrete-observation",
    "1.6.2/ppo-multidiscrete",
)

Patch = pytest.MonkeyPatch
Sabotage = Callable[[Path, Patch], None]


@dataclass
class Case:
    """One wrong way.

    Args:
        source: Folder of a fixture.
        sabotage: Makes its port, or what runs it, wrong.
        fails: An output that must show it.
        spared: An output that must not.
    """

    source: str
    sabotage: Sabotage
    fails: str
    spared: str | None = None


def patched(owner: Any, name: str, wrong: Callable[[Any], Any]) -> Sabotage:
    """Replace a function by what `wrong` makes of it."""
    return lambda _, patch: patch.setattr(owner, name, wrong(getattr(owner, name)))


def told(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Sabotage:
    """Change what `config.json` says of a space."""

    def sabotage(port: Path, _: Patch) -> None:
        content = json.loads((port / "config.json").read_text())
        content[name] = change(content[name])
        (port / "config.json").write_text(json.dumps(content))

    return sabotage


def entropy_of_all(_: Any) -> Any:
    """The entropy of what the policy would do without a mask."""
    plain = categorical.MaskedCategorical.__init__

    def init(self: Any, logits: Tensor, mask: Tensor | None) -> None:
        plain(self, logits, mask)
        self.entropy = torch.distributions.Categorical(logits=logits).entropy

    return init


def run_with(change: Callable[..., tuple[Any, ...]]) -> Sabotage:
    """Change what an LSTM is given within an episode: features, state and starts of episodes."""

    def wrong(right: Any) -> Any:
        return lambda lstm, *given: right(
            lstm, *(change(*given) if all(part is not None for part in given) else given)
        )

    return patched(recurrent, "run_lstm", wrong)


def zeroed(features: Tensor, state: Any, starts: Any) -> tuple[Any, ...]:
    return features, tuple(torch.zeros_like(part) for part in state), starts


def swapped_states(right: Any) -> Any:
    return lambda self, pi, vf, states, starts: right(
        self, pi, vf, recurrent.RNNStates(states.vf, states.pi), starts
    )


def step_by_step(features: Tensor, state: Any, starts: Any) -> tuple[Any, ...]:
    """Rows taken for the first steps of all sequences, then the second ones, and so on."""
    n_seq = state[0].shape[1]
    return features.reshape(-1, n_seq, features.shape[1]).swapaxes(0, 1).flatten(0, 1), state, starts


def as_rows_and_columns(right: Any) -> Any:
    """Channels last taken for channels first: the numbers of an image in a wrong order."""
    return lambda images, shape, key: right(images.permute(0, 2, 3, 1).reshape(images.shape), shape, key)


def one_further(right: Any) -> Any:
    return lambda rows, sizes: right((rows.long() + 1) % torch.tensor(sizes), sizes)


def backwards(right: Any) -> Any:
    return lambda rows, sizes: right(rows.flip(1), sizes[::-1])


def split_backwards(_: Any) -> Any:
    def split(self: Any, outputs: Tensor, mask: Tensor | None) -> Any:
        masks = [None] * len(self.sizes) if mask is None else mask.split(self.sizes[::-1], dim=1)[::-1]
        return list(zip(outputs.split(self.sizes[::-1], dim=1)[::-1], masks, strict=True))

    return split


def masks_backwards(right: Any) -> Any:
    """The masks of the groups in the wrong order, the logits in the right one."""
    return lambda self, outputs, mask: right(self, outputs, mask.flip(1))


def sorted_keys(space: dict[str, Any]) -> dict[str, Any]:
    return {**space, "spaces": dict(sorted(space["spaces"].items()))}


no_mask = patched(ActorCritic, "_mask", lambda _: lambda *_: None)
inverted_mask = patched(ActorCritic, "_mask", lambda right: lambda self, batch: ~right(self, batch))
CASES = {
    "mask ignored": Case(MASKED, no_mask, "mode", "value"),
    "mask ignored, of several choices": Case(MASKED_GROUPS, no_mask, "log_prob", "value"),
    "mask ignored, of bits": Case(MASKED_BITS, no_mask, "entropy", "value"),
    "mask inverted": Case(MASKED, inverted_mask, "mode", "value"),
    "mask inverted, of bits": Case(MASKED_BITS, inverted_mask, "log_prob", "value"),
    "masks of groups in the wrong order": Case(
        MASKED_GROUPS, patched(categorical.MultiCategoricalHead, "_split", masks_backwards), "mode", "value"
    ),
    "forbidden choices in the entropy": Case(
        MASKED, patched(categorical.MaskedCategorical, "__init__", entropy_of_all), "entropy", "log_prob"
    ),
    "memory not carried": Case(RECURRENT, run_with(zeroed), "mode"),
    "memory not carried, one LSTM": Case(ONE_LSTM, run_with(zeroed), "value"),
    "memory not reset at the start of an episode": Case(
        RECURRENT,
        run_with(lambda features, state, starts: (features, state, torch.zeros_like(starts))),
        "mode",
    ),
    "memory reset at every step": Case(
        RECURRENT,
        run_with(lambda features, state, starts: (features, state, torch.ones_like(starts))),
        "mode",
    ),
    "states of actor and critic swapped": Case(
        RECURRENT, patched(recurrent.RecurrentCore, "both", swapped_states), "value", "mode"
    ),
    "hidden state and cell swapped": Case(
        RECURRENT, run_with(lambda features, state, starts: (features, state[::-1], starts)), "mode"
    ),
    "layers of the state in the wrong order": Case(
        TWO_LAYERS,
        run_with(lambda features, state, starts: (features, tuple(part.flip(0) for part in state), starts)),
        "mode",
    ),
    "states of the sequences in the wrong order": Case(
        RECURRENT,
        run_with(lambda features, state, starts: (features, tuple(part.flip(1) for part in state), starts)),
        "mode",
    ),
    "rows step by step instead of sequence by sequence": Case(RECURRENT, run_with(step_by_step), "mode"),
    "keys of a Dict sorted": Case(DICT, told("observation_space", sorted_keys), "value"),
    "rows and channels of images mixed up": Case(
        IMAGE, patched(preprocessing, "_channels_first", as_rows_and_columns), "value"
    ),
    "images not divided by 255": Case(
        IMAGE, patched(preprocessing, "_scaled", lambda _: lambda images, _: images.float()), "value"
    ),
    "images divided by 255 twice": Case(
        IMAGE, patched(preprocessing, "_scaled", lambda right: lambda *given: right(*given) / 255), "value"
    ),
    "images in a Dict not divided by 255": Case(
        DICT, patched(preprocessing, "_scaled", lambda _: lambda images, _: images.float()), "value"
    ),
    "one-hot vectors one off": Case(DISCRETE, patched(preprocessing, "_one_hot", one_further), "value"),
    "one-hot vectors of several choices one off": Case(
        MULTI, patched(preprocessing, "_one_hot", one_further), "value"
    ),
    "one-hot vectors in the wrong order": Case(MULTI, patched(preprocessing, "_one_hot", backwards), "value"),
    "logits of several choices split in the wrong order": Case(
        MULTI, patched(categorical.MultiCategoricalHead, "_split", split_backwards), "log_prob", "value"
    ),
}


def verdicts(report: ParityReport, output: str) -> set[str]:
    """What the checks of one output say, on whatever observations."""
    checks = [check for check in report.checks if (check.output or check.stage) == output]
    assert checks, f"nothing checks {output}"
    return {str(check.verdict) for check in checks}


@pytest.mark.parametrize("source", sampled(sorted({case.source for case in CASES.values()}), 4))
def test_the_right_port_passes(source: str, tmp_path: Path) -> None:
    done = port_of(ERAS / source, tmp_path / "port")
    assert done.report is not None
    assert done.report.verdict == "bit-exact"


def without_recordings(source: Path, folder: Path) -> Path:
    """A copy of a checkpoint that lacks `reference.npz`, so that observations are drawn."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("reference.*"))
    return folder


@pytest.mark.parametrize("name", CASES)
def test_wrong_ways_are_noticed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    source = without_recordings(ERAS / case.source, tmp_path / "source")
    port = port_of(source, tmp_path / "port", verify=False).port
    case.sabotage(port, monkeypatch)
    report = verified(port)
    assert report.verdict == "fail"
    assert "fail" in verdicts(report, case.fails)
    if case.spared is not None:
        assert "fail" not in verdicts(report, case.spared)
