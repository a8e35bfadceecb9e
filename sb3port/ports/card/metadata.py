"""The metadata of a model card, by the Hub's conventions."""

from typing import Any

from sb3port.checkpoint.checkpoint import Checkpoint, ReplaySpec
from sb3port.files.texts.front_matter import front_matter
from sb3port.files.texts.markdown import Markdown
from sb3port.ports.card.facts import CardFacts
from sb3port.reports.returns import Returns

_TAGS = ("lerobot", "ppo", "reinforcement-learning", "robotics", "sb3port", "stable-baselines3")
_TASK = "reinforcement-learning"


def metadata(checkpoint: Checkpoint, facts: CardFacts, name: str) -> Markdown:
    """Give what stands in front of a card, without importing the Hub's library where there are no returns.

    Args:
        checkpoint: The port.
        facts: What else is known of it.
        name: How the model is called.
    """
    provenance, env_id = checkpoint.provenance, checkpoint.environment.registered_id
    spec = checkpoint.spec
    tags = [tag for tag in _TAGS if tag != "ppo" or not isinstance(spec, ReplaySpec)]
    others = {checkpoint.spec.algorithm, *filter(None, [env_id])} - set(_TAGS)
    fields = {
        "library_name": "lerobot",
        "pipeline_tag": "robotics",
        **(facts.licence.metadata if facts.licence else {}),
        **({"base_model": provenance.base_model[0]} if provenance.base_model else {}),
        "tags": [*tags, *sorted(others)],
        **({"model-index": _model_index(facts.returns, name)} if facts.returns else {"model_name": name}),
    }
    return front_matter(fields)


def _model_index(returns: Returns, name: str) -> list[dict[str, Any]]:
    """Give the mean return as huggingface_sb3 writes it, whose leaderboards read "mean +/- std"."""
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    result = EvalResult(
        task_type=_TASK,
        task_name=_TASK,
        dataset_type=returns.env,
        dataset_name=returns.env,
        metric_type="mean_reward",
        metric_name="mean_reward",
        metric_value=f"{returns.mean:.2f} +/- {returns.std:.2f}",
        metric_args={
            "episodes": len(returns.seeds),
            "seeds": returns.seeds_text,
            "deterministic": returns.deterministic,
        },
    )
    return eval_results_to_model_index(name, [result])
