"""What the words of names say: of which model a file is, and of when in its training.

Pure functions on texts. `ppo_walker_v2_1000_steps` says which (PPO, walker, version 2) and when (step 1000);
words such as `model` or `vecnormalize` say neither.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

# Words that say what a file is, and not which; folders of one training are called so, too.
_GENERIC = re.compile(
    r"(vec)?norm(ali[sz](e|ed|er|ers|ation))?|vec|vecs|venv|vn|envs?|environments?|rl|sb3|stable|baselines3?"
    r"|models?|polic(y|ies)|agents?|nets?|networks?|weights|stats?|statistics|rms|obs|observations?|running"
    r"|mean|std|rewards?|ret|returns?|train(ing)?|eval(uation)?|tests?|wrapp(er|ed)|data|params?|parameters"
    r"|states?|saved?|saves|file|zip|pkl|pickle|logs?|results?|outputs?|out|artifacts?|tmp|callbacks?"
    r"|snapshots?|my|the|with|of|and"
)
_WHEN = re.compile(
    r"best|final|last|latest|end|current|initial|interrupted|backup|trained|finished|complete|done"
)
# What is counted within one training, and what tells trainings apart.
_UNITS = re.compile(
    r"(time)?steps?|ts|iter(s|ations?)?|epochs?|updates?|episodes?|eps?|checkpoints?|ckpts?|cp"
)
_RUNS = re.compile(
    r"runs?|seeds?|exp(eriment)?s?|trials?|stages?|phases?|folds?|levels?|attempts?|sessions?|id"
)
_VERSION = re.compile(r"v(?:er(?:sion)?)?(\d+(?:\.\d+)*)|(\d+(?:\.\d+)+)")
_ENVIRONMENT = re.compile(r"([A-Za-z0-9]+)-v(\d+)(?![A-Za-z0-9.])")
_COPY = re.compile(r"\(\d+\)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[a-z0-9]+(?:\.\d+)*")
_PARTS = re.compile(r"([a-z]*)(\d+)([a-z]*)")
_THOUSANDS = {"k": 10**3, "m": 10**6}
_DATE = re.compile(r"(19|20)\d{6}(\d{4}(\d{2})?)?")
_LEAST_LETTERS = 4  # shorter words are parts of others by chance
_LEAST_STEPS = 1000  # a lesser number that nothing names is that of a run
_ALGORITHM = re.compile(r"ppo2?|a2c|trpo|maskableppo|recurrentppo|sac|td3|ddpg|dqn|tqc|ars|gail|airl|bc")
_TELLING_APART = ("version", "environment", "run", "algorithm")


class Relation(IntEnum):
    """What names say of a pickle and a checkpoint, the best first."""

    NAMED = 0
    """It is named for the checkpoint."""
    RELATED = 1
    """Its name shares a word that tells which model it is of."""
    NEUTRAL = 2
    """Its name tells nothing."""
    SIBLING = 3
    """It is of the same training, but named for another time in it."""
    STRANGE = 4
    """Its name has words that the checkpoint's has not."""
    FOREIGN = 5
    """It is named for another model."""


@dataclass(frozen=True)
class Words:
    """What a name tells.

    Args:
        which: Kind and text of what tells the model, such as ("version", "2") and ("word", "walker").
        when: What tells the time in its training: "best", "1000".
        implied: What an environment's id in it tells besides: its words, its version.
        letters: The letters and digits of the name, as one word.
    """

    which: frozenset[tuple[str, str]] = frozenset()
    when: frozenset[str] = frozenset()
    implied: frozenset[tuple[str, str]] = frozenset()
    letters: str = ""

    @property
    def is_snapshot(self) -> bool:
        """Whether it tells a time alone, as `best_model` does."""
        return bool(self.when) and not self.which

    def tells(self, word: tuple[str, str]) -> bool:
        """Whether it has a word of another name, if only as part of one: `LunarLander` tells `lunar`."""
        kind, text = word
        if word in self.which or word in self.implied:
            return True
        if kind == "environment":  # `lunar_lander` tells `LunarLander-v2`
            return text.partition("-")[0] in self.letters
        return kind == "word" and len(text) >= _LEAST_LETTERS and text in self.letters


def words_of(*names: str) -> Words:
    """Read what names tell together, each without its suffix."""
    whole = text = _COPY.sub(" ", " ".join(names))
    environments = _environments(text)
    for found in reversed(environments):
        text = f"{text[: found.start()]} {text[found.end() :]}"
    told = list(_told(text))
    return Words(
        which=frozenset(word for word in told if word[0] != "when")
        | {("environment", found[0].lower()) for found in environments},
        when=frozenset(text for kind, text in told if kind == "when"),
        implied=frozenset(("version", found[2]) for found in environments),
        letters="".join(_WORD.findall(whole.lower())),
    )


def tells_no_model(name: str) -> bool:
    """Whether a name has no word of `words_of(name).which`, found without reading it to its end."""
    text = _COPY.sub(" ", name)
    return not _environments(text) and all(kind == "when" for kind, _ in _told(text))


def _environments(text: str) -> list[re.Match[str]]:
    return [found for found in _ENVIRONMENT.finditer(text) if not _GENERIC.fullmatch(found[1].lower())]


def _told(text: str) -> Iterator[tuple[str, str]]:
    return _read(list(_pieces(_split(text))))


def relate(own: Words, other: Words, around: Words = Words()) -> Relation:
    """Tell what the name of a pickle says of a checkpoint.

    Args:
        own: What the names of the checkpoint, and of folders that only it lies in, tell.
        other: The same of the pickle.
        around: What the folders tell that both lie in.
    """
    if any(_contradict(kind, own, other) for kind in _TELLING_APART):
        return Relation.FOREIGN
    apart = bool(own.when and other.when) and not own.when & other.when
    if unknown(other, own, around):
        return Relation.SIBLING if own.is_snapshot else Relation.STRANGE
    if apart:
        return Relation.SIBLING
    both_tell = all(map(own.tells, other.which)) and all(map(other.tells, own.which))
    if own.when & other.when or (other.which and both_tell and not (own.when or other.when)):
        return Relation.NAMED
    return Relation.RELATED if any(map(own.tells, other.which)) else Relation.NEUTRAL


def unknown(other: Words, own: Words, around: Words = Words()) -> frozenset[tuple[str, str]]:
    """Give what a name tells of a model that others do not tell of theirs."""
    return frozenset(word for word in other.which if not (own.tells(word) or around.tells(word)))


def _contradict(kind: str, own: Words, other: Words) -> bool:
    mine, theirs = ({text for k, text in words.which if k == kind} for words in (own, other))
    return bool(mine and theirs) and not mine & theirs


def _split(text: str) -> list[str]:
    return _WORD.findall(_CAMEL.sub(" ", text).lower())


def _pieces(words: Iterable[str]) -> Iterator[str | int]:
    """Take words and numbers apart: `1000steps`, `ppo2` and `100k` have both."""
    for word in words:
        known = any(form.fullmatch(word) for form in (_ALGORITHM, _VERSION, _GENERIC))
        if known or not (parts := _PARTS.fullmatch(word)):
            yield word
            continue
        before, digits, after = parts[1], parts[2][:20], parts[3]
        if after in _THOUSANDS:
            yield from filter(None, (before, int(digits) * _THOUSANDS[after], "steps"))
        elif not after or (not before and _UNITS.fullmatch(after)):
            yield from (piece for piece in (before, int(digits), after) if piece != "")
        else:
            yield word


def _read(pieces: list[str | int]) -> Iterator[tuple[str, str]]:
    """Tell the kind of every piece, those left out that tell nothing."""
    for before, piece, after in zip(["", *pieces], pieces, [*pieces[1:], ""], strict=False):
        if isinstance(piece, int):
            yield _number(piece, str(before), str(after))
        elif version := _VERSION.fullmatch(piece):
            yield "version", version[1] or version[2]
        elif _ALGORITHM.fullmatch(piece):
            yield "algorithm", piece
        elif _WHEN.fullmatch(piece):
            yield "when", piece
        elif not any(known.fullmatch(piece) for known in (_GENERIC, _UNITS, _RUNS)):
            yield "word", piece


def _number(number: int, before: str, after: str) -> tuple[str, str]:
    if before in ("v", "version"):
        return "version", str(number)
    if _RUNS.fullmatch(before) or _DATE.fullmatch(str(number)):
        return "run", str(number)
    counted = number >= _LEAST_STEPS or _UNITS.fullmatch(before) or _UNITS.fullmatch(after)
    return ("when" if counted else "run"), str(number)
