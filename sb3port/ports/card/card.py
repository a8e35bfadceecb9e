"""The `README.md` of a port: what it is, where it comes from, how to run it, how far to trust it."""

import json
from collections.abc import Iterable, Iterator

from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec, Provenance
from sb3port.checkpoint.frames import stacks_of
from sb3port.checkpoint.spaces import parts
from sb3port.families.algorithms import display_name
from sb3port.families.descriptions import environment_text, exploration_text, networks_text, normalizer_text
from sb3port.families.extractors import is_own
from sb3port.families.features import batch_keys
from sb3port.families.strangers_arguments import command_words
from sb3port.files.texts.markdown import Markdown, bullets, code, link, markdown, table
from sb3port.files.texts.media import joined
from sb3port.files.texts.source_code import ShellCode, shell
from sb3port.ports.card.facts import CardFacts
from sb3port.ports.card.metadata import metadata
from sb3port.ports.card.running import running
from sb3port.reports.returns import Returns

_MARK = markdown("<!-- sb3port writes this card anew. Delete this line to keep what you change in it. -->")
_NOTHING = markdown("")
MARK = _MARK.text
_HUB = "https://huggingface.co"


def model_card(checkpoint: Checkpoint, facts: CardFacts | None = None) -> str:
    """Write the model card of a checkpoint's port.

    Args:
        checkpoint: The port. No path of this machine that its provenance has is shown.
        facts: What else is known of it.

    Returns:
        The whole file, in Markdown, with the Hub's metadata in front.
    """
    facts = facts or CardFacts()
    name = (facts.repo_id or checkpoint.provenance.name).rpartition("/")[2]
    sections = (
        metadata(checkpoint, facts, name),
        _MARK,
        markdown("# {}", name),
        _summary(checkpoint),
        _table(_properties(checkpoint)),
        *running(checkpoint, facts.place, facts.sb3_zip),
        *_spaces(checkpoint),
        *_parity(facts),
        *_returns(facts, checkpoint.environment),
        *_licence(facts),
        *_limits(checkpoint, facts),
    )
    return markdown("{}\n", joined(Markdown, "\n\n", sections)).text


def is_ours(card: str) -> bool:
    """Whether a card may be written anew: its author has not taken it over."""
    return MARK in card


def _summary(checkpoint: Checkpoint) -> Markdown:
    provenance, algorithm = checkpoint.provenance, display_name(checkpoint.spec.algorithm)
    env_id = checkpoint.environment.env_id
    where = markdown(" for {}", code(env_id)) if env_id else _NOTHING
    if provenance.kind == "training":
        return markdown(
            "A {} policy{}, trained with sb3port, update for update as Stable-Baselines3 does.",
            algorithm,
            where,
        )
    version = markdown(" {}", provenance.sb3_version) if provenance.sb3_version else _NOTHING
    return markdown(
        "A {} policy{}, trained with Stable-Baselines3{}, and ported to "
        "[LeRobot](https://github.com/huggingface/lerobot) with sb3port.",
        algorithm,
        where,
        version,
    )


def _properties(checkpoint: Checkpoint) -> Iterator[tuple[str, Markdown]]:
    spec, provenance, normalizer = checkpoint.spec, checkpoint.provenance, checkpoint.normalizer
    yield "source", _source(provenance)
    for role in ("checkpoint", "statistics"):
        if file := provenance.files.get(role):
            yield role, markdown("{}, sha256 {}", code(file.name), code(file.sha256))
    yield "networks", markdown("{}", ", ".join(filter(None, (networks_text(spec), exploration_text(spec)))))
    yield "normalisation", markdown("{}", normalizer_text(normalizer, spec.observation_space))
    trained_in = environment_text(checkpoint.environment)
    yield "trained in", code(trained_in) if trained_in else markdown("an environment that is not known")
    steps = checkpoint.training.hyperparameters.get("num_timesteps")
    known = isinstance(steps, int)
    yield (
        "trained for",
        markdown("{:,} steps", steps) if known else markdown("a number of steps that is not known"),
    )


def _source(provenance: Provenance) -> Markdown:
    """Name the source without any path of the machine that it was ported on."""
    published = _published(provenance)
    if provenance.kind == "training":
        trained = markdown("trained in {}", code(provenance.location))
        return markdown("{}, from {}", trained, published) if published else trained
    return published or markdown("local {} {}", provenance.kind, code(provenance.name))


def _published(provenance: Provenance) -> Markdown | None:
    """Name and link what is on the Hub, None where nothing is."""
    if provenance.base_model is None:
        return None
    location, revision = provenance.base_model
    place = link(code(location), f"{_HUB}/{location}/tree/{revision}")
    return markdown("{} at revision {}", place, code(revision))


def _spaces(checkpoint: Checkpoint) -> Iterator[Markdown]:
    spec = checkpoint.spec
    keys = batch_keys(spec.observation_space)
    spaces = [(code(keys[name]), code(part)) for name, part in parts(spec.observation_space).items()]
    columns = (markdown("in LeRobot"), markdown("space"))
    yield markdown("## Observations and actions")
    yield table(columns, [*spaces, (code("action"), code(spec.action_space))])


def _parity(facts: CardFacts) -> Iterator[Markdown]:
    yield markdown("## Parity")
    command = code(shell("sb3port verify {}", facts.place))
    yield facts.parity or markdown(
        "Not compared with its source yet: {} does that, to the last bit.", command
    )


def _returns(facts: CardFacts, environment: EnvironmentSpec) -> Iterator[Markdown]:
    yield markdown("## Returns")
    if facts.returns is None:
        words = joined(ShellCode, " ", (shell("{}", word) for word in command_words(environment)))
        command = code(shell("sb3port eval {} {}", facts.place, words))
        yield markdown("Not measured yet: {} does that.", command)
        return
    yield _table(_returns_rows(facts.returns))


def _returns_rows(returns: Returns) -> Iterator[tuple[str, Markdown]]:
    yield "environment", code(returns.env)
    if returns.env_kwargs:
        yield "arguments", code(json.dumps(dict(returns.env_kwargs)))
    if returns.wrappers:
        yield "wrappers", joined(Markdown, ", ", map(code, returns.wrappers))
    count = len(returns.seeds)
    actions = "deterministic" if returns.deterministic else "sampled"
    yield "episodes", markdown("{}, seeds {}, {} actions", count, returns.seeds_text, actions)
    yield "mean return", markdown("{:.2f} ± {:.2f} (standard deviation)", returns.mean, returns.std)
    lowest, highest = min(returns.returns), max(returns.returns)
    yield "lowest and highest", markdown("{:.2f} and {:.2f}", lowest, highest)
    yield "mean length", markdown("{:,.1f} steps", sum(returns.lengths) / len(returns.lengths))
    if returns.sb3 is not None:
        same = markdown("the same return in {} of these {} episodes", returns.identical, count)
        yield "SB3's own policy", same


def _licence(facts: CardFacts) -> Iterator[Markdown]:
    if facts.licence is not None:
        yield markdown("## Licence")
        yield facts.licence.text


def _limits(checkpoint: Checkpoint, facts: CardFacts) -> Iterator[Markdown]:
    yield markdown("## Limits")
    yield bullets(_limit_sentences(checkpoint, facts))


def _limit_sentences(checkpoint: Checkpoint, facts: CardFacts) -> Iterator[Markdown]:
    env_id = checkpoint.environment.env_id
    unknown = markdown("in an environment that the files do not name")
    where = markdown("in {}", code(env_id)) if env_id else unknown
    yield markdown("It was trained {}; nothing is known of it elsewhere, on hardware least of all.", where)
    if checkpoint.normalizer is not None:
        yield markdown(
            "Observations are normalised with the statistics of the training, which stay as they were."
        )
    if stacks_of(checkpoint.normalizer, checkpoint.spec.observation_space):
        yield markdown(
            "The training normalised frames and stacked them then: the policy takes stacks of raw frames, "
            "the newest last. Frames of nothing but zeros before the others count as not there yet."
        )
    if is_own(extractor := checkpoint.spec.features_extractor):
        yield markdown(
            "It needs {}, whose code is not part of it; `--extractor` of sb3port's commands names it.",
            code(extractor),
        )
    if facts.parity is not None:
        yield markdown(
            "Parity says that it computes what its source computes, not that its source is any good."
        )
    # As they are: many begin with a name.
    yield from (markdown("{}.", warning) for warning in checkpoint.warnings)


def _table(rows: Iterable[tuple[str, Markdown]]) -> Markdown:
    """Give a table of names and what they stand for, without titles."""
    return table((_NOTHING, _NOTHING), [(markdown("{}", name), value) for name, value in rows])
