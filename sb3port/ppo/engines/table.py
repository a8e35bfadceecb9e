"""The engines by name. A new one is a row here, and of `choosing`."""

from collections.abc import Callable

from sb3port.errors import UsageError
from sb3port.ppo.engines import exact_mlp
from sb3port.ppo.engines.base import Engine, Learner
from sb3port.ppo.engines.choosing import EXACT, NUMBA, NUMPY
from sb3port.ppo.engines.exact_autograd import AutogradEngine
from sb3port.ppo.engines.fast.engine import FastEngine
from sb3port.ppo.engines.fast.recurrent_engine import RecurrentEngine


def make_engine(name: str, learner: Learner) -> Engine:
    """Make the engine of a name.

    Raises:
        UsageError: There is none.
    """
    if name not in ENGINES:
        raise UsageError(f"there is no engine {name}", f"known: {', '.join(ENGINES)}")
    return ENGINES[name](learner)


def _exact(learner: Learner) -> Engine:
    """By hand where that is possible, which is faster and gives the same bits."""
    return exact_mlp.MlpEngine(learner) if exact_mlp.fits(learner) else AutogradEngine(learner)


def _numpy(learner: Learner) -> Engine:
    is_recurrent = learner.spec.lstm_hidden_size is not None
    return RecurrentEngine(learner) if is_recurrent else FastEngine(learner, compiled=False)


ENGINES: dict[str, Callable[[Learner], Engine]] = {
    EXACT: _exact,
    "exact-autograd": AutogradEngine,
    NUMPY: _numpy,
    NUMBA: lambda learner: FastEngine(learner, compiled=True),
}
