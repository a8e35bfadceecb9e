"""What moves while the actor is frozen: the parameters of which the critic alone computes anything.

The actor's learning rate is 0 then, as that of a parameter group of torch may be: its gradients are computed
and counted, also by the optimiser's moments, so that its first step after that is none of an optimiser that
has just begun.
"""

from collections.abc import Iterable

_CRITIC = ("value_net.", "mlp_extractor.value_net.", "vf_features_extractor.", "lstm_critic.", "critic.")


def of_actor(names: Iterable[str]) -> tuple[str, ...]:
    """Give those of a policy's parameters on which its actions depend, also such as the critic shares.

    Args:
        names: As in SB3.
    """
    return tuple(name for name in names if not name.startswith(_CRITIC))


def shared(names: Iterable[str]) -> tuple[str, ...]:
    """Name the networks that actor and critic share, as SB3 does.

    Args:
        names: Of all parameters.
    """
    known = {name.rpartition(".")[0] for name in names}
    found = []
    if _has(known, "features_extractor") and not _has(known, "vf_features_extractor"):
        found.append("features_extractor")
    if _has(known, "mlp_extractor.shared_net"):
        found.append("mlp_extractor.shared_net")
    if _has(known, "lstm_actor") and not _has(known, "lstm_critic") and not _has(known, "critic"):
        found.append("lstm_actor")
    return tuple(found)


def _has(known: Iterable[str], network: str) -> bool:
    return any(f"{name}.".startswith(f"{network}.") for name in known)
