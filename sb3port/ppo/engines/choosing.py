"""Which engine a training takes, why, and what another one would save."""

from dataclasses import dataclass
from typing import NamedTuple

from sb3port.checkpoint.checkpoint import NetArch
from sb3port.errors import UsageError, installing, need
from sb3port.ppo.engines.base import Learner
from sb3port.ppo.engines.fast.fitting import has_kernels, is_installed, is_kept, unfit

EXACT, NUMPY, NUMBA = "exact", "fast-numpy", "fast-numba"
_ANY, _FAST = "auto", "fast"
_COMPILING = 16.0  # seconds of processor time, once per machine
_WORTH_SAYING = 60.0  # seconds


class _Cost(NamedTuple):
    """Processor time in microseconds beside the products, which all engines take alike.

    They are `benchmarks/engine_growth.py`'s, on a core of 2.6 GHz.
    """

    minibatch: float
    transition: float
    step: float
    widest: int  # the widest layer at which it is the faster one


_COSTS = {
    EXACT: _Cost(620, 2.4, 70, 0),
    NUMPY: _Cost(250, 2.4, 45, 256),
    NUMBA: _Cost(20, 0.4, 10, 256),
}
# `benchmarks/recurrent_speed.py`'s, with LSTMs of 64; what grows with their width grows alike.
_RECURRENT_COSTS = {EXACT: _Cost(600, 200, 500, 0), NUMPY: _Cost(300, 40, 150, 128)}


@dataclass(frozen=True)
class Work:
    """What there is to do.

    Args:
        steps: Environment steps.
        n_envs: How many environments are stepped together.
    """

    steps: int
    n_envs: int


@dataclass(frozen=True)
class Choice:
    """An engine.

    Args:
        name: A key of `table.ENGINES`.
        reason: Why it was taken, as a sentence, or what another one would save; empty where there is nothing
            to say.
    """

    name: str
    reason: str = ""


def choose_engine(name: str, learner: Learner, work: Work) -> Choice:
    """Choose an engine.

    Args:
        name: A key of `table.ENGINES`, `fast`, or `auto`.
        learner: What it is for.
        work: What there is to do.

    Raises:
        UsageError: `fast` does not take the policy, or Numba is asked for by name and not installed.
    """
    against = unfit(learner)
    if name == NUMBA:
        need("fast", f"--engine {NUMBA}")
    if name in (_FAST, NUMPY, NUMBA):
        if against or (name == NUMBA and not has_kernels(learner)):
            reason = against or _without_kernels(learner)
            hint = "take --engine auto, which takes another one where fast cannot"
            raise UsageError(f"--engine {name} does not take this policy: it {reason}", hint)
        return _fastest(learner) if name == _FAST else Choice(name)
    if name == _ANY:
        return _automatic(learner, work, against)
    if learner.mixed_precision:
        return Choice(name, f"{name}, by autograd and in mixed precision, so without SB3's bits")
    return Choice(name, _what_fast_saves(learner, work, against) if name == EXACT else "")


def _fastest(learner: Learner) -> Choice:
    if learner.spec.lstm_hidden_size is not None:
        return Choice(NUMPY, "fast, which runs LSTMs over whole sequences, by torch and NumPy")
    if not is_installed():
        return Choice(NUMPY, f"fast, in NumPy; Numba would be faster: {installing('fast')}")
    if not has_kernels(learner):
        return Choice(NUMPY, f"fast, in NumPy: Numba has no kernel for {learner.spec.activation_fn}")
    return Choice(NUMBA, "" if is_kept() else "fast, in Numba, which compiles it first, once on this machine")


def _without_kernels(learner: Learner) -> str:
    is_recurrent = learner.spec.lstm_hidden_size is not None
    return "is recurrent" if is_recurrent else f"has the activation {learner.spec.activation_fn}"


def _automatic(learner: Learner, work: Work, against: str | None) -> Choice:
    if against:
        return Choice(EXACT, f"exact, because the policy {against}, which fast does not take")
    found = _fastest(learner)
    if learner.spec.lstm_hidden_size is not None:
        return found
    widest = _widest(learner.spec.net_arch)
    if found.name == NUMBA and not is_kept() and _saved(NUMBA, learner, work) < _COMPILING:
        found = Choice(NUMPY, "fast, in NumPy, because compiling for Numba would take longer than this run")
    if widest > _COSTS[found.name].widest:
        return Choice(EXACT, f"exact, because layers of {widest} are no faster in {_WORDS[found.name]}")
    return Choice(found.name, found.reason or "fast, in Numba")


_WORDS = {NUMPY: "NumPy", NUMBA: "Numba"}


def _what_fast_saves(learner: Learner, work: Work, against: str | None) -> str:
    """Say it where it is a minute or more."""
    if against:
        return ""
    name = _fastest(learner).name
    saved = _saved(name, learner, work)
    if saved < _WORTH_SAYING or _widest(learner.spec.net_arch) > _COSTS[name].widest:
        return ""
    return f"exact has SB3's bits; --engine fast would save about {saved / 60:,.0f} min of processor time"


def _saved(name: str, learner: Learner, work: Work) -> float:
    """Estimate what an engine saves, in seconds of processor time."""
    costs = _COSTS if learner.spec.lstm_hidden_size is None else _RECURRENT_COSTS
    settings, exact, other = learner.settings, costs[EXACT], costs[name]
    learned = work.steps * settings.n_epochs
    microseconds = learned / settings.batch_size * (exact.minibatch - other.minibatch)
    microseconds += learned * (exact.transition - other.transition)
    microseconds += work.steps / work.n_envs * (exact.step - other.step)
    return microseconds / 1e6


def _widest(arch: NetArch) -> int:
    return max((*arch.shared, *arch.pi, *arch.vf), default=0)
