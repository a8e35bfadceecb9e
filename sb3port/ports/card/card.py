"""The `README.md` of a port: what it is, where it comes from, how to run it, how far to trust it."""

from collections.abc import Iterable, Iterator

from sb3port.checkpoint.checkpoint import Checkpoint, Provenance
from sb3port.checkpoint.spaces import parts
from sb3port.families.algorithms import display_name
from sb3port.families.descriptions import environment_text, exploration_text, networks_text, normalizer_text
from sb3port.families.extractors import is_own
from sb3port.families.features import batch_keys
from sb3port.files.escaping import markdown_code, markdown_text
from sb3port.ports.card.facts import CardFacts
from sb3port.ports.card.metadata import metadata
from sb3port.ports.card.running import running
from sb3port.reports.returns import Returns

MARK = "<!-- sb3port writes this card anew. Delete this line to keep what you change in it. -->"
_HUB = "https://huggingface.co"


def model_card(checkpoint: Checkpoint, facts: CardFacts | None = None) -> str:
    """Write the model card of a checkpoint's port.

    Args:
        checkpoint: The port. No path of this machine that its provenance has is shown.
        facts: What else is known of it.

    Returns:
        Markdown, with the Hub's metadata in front.
    """
    facts = facts or CardFacts()
    name = (facts.repo_id or checkpoint.provenance.name).rpartition("/")[2]
    sections = (
        f"---\n{metadata(checkpoint, facts, name)}\n---",
        MARK,
        f"# {markdown_text(name)}",
        _summary(checkpoint),
        _table(("", ""), _properties(checkpoint)),
        *running(checkpoint, facts.place),
        *_spaces(checkpoint),
        *_parity(facts),
        *_returns(facts, checkpoint.environment.registered_id),
        *_licence(facts),
        *_limits(checkpoint, facts),
    )
    return "\n\n".join(sections) + "\n"


def is_ours(card: str) -> bool:
    """Whether a card may be written anew: its author has not taken it over."""
    return MARK in card


def _summary(checkpoint: Checkpoint) -> str:
    provenance, algorithm = checkpoint.provenance, display_name(checkpoint.spec.algorithm)
    env_id = checkpoint.environment.env_id
    where = f" for {markdown_code(env_id)}" if env_id else ""
    if provenance.kind == "training":
        return (
            f"A {algorithm} policy{where}, trained with sb3port, update for update as Stable-Baselines3 does."
        )
    version = f" {provenance.sb3_version}" if provenance.sb3_version else ""
    return (
        f"A {algorithm} policy{where}, trained with Stable-Baselines3{markdown_text(version)}, and ported to "
        "[LeRobot](https://github.com/huggingface/lerobot) with sb3port."
    )


def _properties(checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    spec, provenance, normalizer = checkpoint.spec, checkpoint.provenance, checkpoint.normalizer
    yield "source", _source(provenance)
    for role in ("checkpoint", "statistics"):
        if file := provenance.files.get(role):
            yield role, f"{markdown_code(file.name)}, sha256 {markdown_code(file.sha256)}"
    yield "networks", ", ".join(filter(None, (networks_text(spec), exploration_text(spec))))
    yield "normalisation", normalizer_text(normalizer)
    yield "trained in", _code(environment_text(checkpoint.environment)) or "an environment that is not known"
    steps = checkpoint.training.hyperparameters.get("num_timesteps")
    yield (
        "trained for",
        f"{steps:,} steps" if isinstance(steps, int) else "a number of steps that is not known",
    )


def _source(provenance: Provenance) -> str:
    """Name the source without any path of the machine that it was ported on."""
    published = _published(provenance)
    if provenance.kind == "training":
        return f"trained in {markdown_code(provenance.location)}" + (
            f", from {published}" if published else ""
        )
    if published:
        return published
    return f"local {provenance.kind} {markdown_code(provenance.name)}"


def _published(provenance: Provenance) -> str:
    """Name and link what is on the Hub, empty where nothing is."""
    if provenance.base_model is None:
        return ""
    location, revision = provenance.base_model
    return f"[`{location}`]({_HUB}/{location}/tree/{revision}) at revision `{revision}`"


def _spaces(checkpoint: Checkpoint) -> Iterator[str]:
    spec = checkpoint.spec
    keys = batch_keys(spec.observation_space)
    spaces = [
        (f"`{keys[name]}`", markdown_code(str(part))) for name, part in parts(spec.observation_space).items()
    ]
    yield "## Observations and actions"
    yield _table(("in LeRobot", "space"), [*spaces, ("`action`", markdown_code(str(spec.action_space)))])


def _parity(facts: CardFacts) -> Iterator[str]:
    yield "## Parity"
    yield facts.parity or (
        f"Not compared with its source yet: `sb3port verify {facts.place}` does that, to the last bit."
    )


def _returns(facts: CardFacts, env_id: str | None) -> Iterator[str]:
    yield "## Returns"
    if facts.returns is None:
        yield f"Not measured yet: `sb3port eval {facts.place} --env {env_id or 'ENV_ID'}` does that."
        return
    yield _table(("", ""), _returns_rows(facts.returns))


def _returns_rows(returns: Returns) -> Iterator[tuple[str, str]]:
    yield "environment", markdown_code(returns.env)
    if returns.wrappers:
        yield "wrappers", ", ".join(map(markdown_code, returns.wrappers))
    yield "episodes", f"{len(returns.seeds)}, seeds {returns.seeds_text}, deterministic actions"
    yield "mean return", f"{returns.mean:.2f} ± {returns.std:.2f} (standard deviation)"
    yield "lowest and highest", f"{min(returns.returns):.2f} and {max(returns.returns):.2f}"
    yield "mean length", f"{sum(returns.lengths) / len(returns.lengths):,.1f} steps"
    if returns.sb3 is not None:
        yield (
            "SB3's own policy",
            f"the same return in {returns.identical} of these {len(returns.seeds)} episodes",
        )


def _licence(facts: CardFacts) -> Iterator[str]:
    if facts.licence is not None:
        yield "## Licence"
        yield facts.licence.text


def _limits(checkpoint: Checkpoint, facts: CardFacts) -> Iterator[str]:
    yield "## Limits"
    yield "\n".join(f"- {sentence}" for sentence in _limit_sentences(checkpoint, facts))


def _limit_sentences(checkpoint: Checkpoint, facts: CardFacts) -> Iterable[str]:
    env_id = checkpoint.environment.env_id
    where = f"in {markdown_code(env_id)}" if env_id else "in an environment that the files do not name"
    yield f"It was trained {where}; nothing is known of it elsewhere, on hardware least of all."
    if checkpoint.normalizer is not None:
        yield "Observations are normalised with the statistics of the training, which stay as they were."
    if is_own(extractor := checkpoint.spec.features_extractor):
        code = markdown_code(extractor)
        yield f"It needs {code}, whose code is not part of it; `--extractor` of sb3port's commands names it."
    if facts.parity is not None:
        yield "Parity says that it computes what its source computes, not that its source is any good."
    yield from (f"{markdown_text(warning[:1].upper() + warning[1:])}." for warning in checkpoint.warnings)


def _code(text: str) -> str:
    return markdown_code(text) if text else ""


def _table(columns: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", "|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)
