"""Which statistics are taken, on evidence alone."""

import pytest

from sb3port.readers.meaning.ranking import Ask, Evidence, LeaveOut, Missing, Steps, Take, Use, decide
from sb3port.readers.places.nearby import Near
from sb3port.readers.places.words import Relation

SHOWN, NOTHING, SILENT = Use("the zip", needed=True), Use(), Use(silent=True)
AGREE, DIFFER, UNKNOWN = Steps
NAMED, RELATED, NEUTRAL, SIBLING, STRANGE, FOREIGN = Relation


def some(
    name: str,
    relation: Relation = NEUTRAL,
    steps: Steps = DIFFER,
    up: int = 0,
    apart: int = 9,
    misfit: str = "",
) -> Evidence:
    return Evidence(Near(f"{name}.pkl", relation, up), steps, apart, misfit, digest=name)


def taken(use: Use, *evidence: Evidence) -> str | None:
    decision = decide(use, evidence)
    return decision.evidence.near.name.removesuffix(".pkl") if isinstance(decision, Take) else None


@pytest.mark.parametrize("better", range(7))
def test_what_speaks_more(better: int) -> None:
    """Names weigh more than steps, steps more than distance."""
    order = [
        some("a", NAMED, DIFFER, up=3),
        some("b", SIBLING, AGREE, up=3),
        some("c", NEUTRAL, DIFFER),
        some("d", NEUTRAL, DIFFER, up=1),
        some("e", SIBLING, DIFFER),
        some("f", STRANGE, AGREE),
        some("g", STRANGE, DIFFER),
        some("h", FOREIGN, AGREE),
    ]
    assert taken(SHOWN, *reversed(order[better:])) == "abcdefg"[better]


@pytest.mark.parametrize("relation", Relation)
@pytest.mark.parametrize("steps", Steps)
def test_what_nothing_shows_needs_steps_and_name(relation: Relation, steps: Steps) -> None:
    one = some("x", relation, steps)
    assert (taken(NOTHING, one) == "x") == (steps is AGREE and relation <= NEUTRAL)
    assert (taken(SILENT, one) == "x") == (relation <= NEUTRAL)


def test_what_does_not_fit_is_never_taken() -> None:
    wrong = some("wrong", NAMED, AGREE, misfit="it is of shape (9,)")
    assert taken(SHOWN, wrong, some("right", STRANGE)) == "right"
    assert decide(SHOWN, [wrong]) == Missing(wrong)
    left_out = decide(NOTHING, [wrong])
    assert isinstance(left_out, LeaveOut)
    assert left_out.why == ("no statistics are used: the zip shows no VecNormalize, and it is of shape (9,)")


def test_none() -> None:
    assert decide(SHOWN, []) == Missing(None)
    assert decide(NOTHING, []) == LeaveOut("")
    assert decide(Use("the zip", needed=False), []) == LeaveOut("")


def test_equals_are_asked_about_the_nearest_in_steps_first() -> None:
    far, near = some("a", apart=9), some("b", apart=3)
    assert decide(SHOWN, [far, near]) == Ask((near, far))


def test_of_one_training_the_nearest_in_steps_is_taken() -> None:
    snapshots = [some("a", SIBLING, apart=9), some("b", SIBLING, apart=3)]
    assert taken(SHOWN, *snapshots) == "b"
    other = Evidence(Near("c.pkl", SIBLING, which=frozenset({("word", "hopper")})), DIFFER, 5)
    assert isinstance(decide(SHOWN, [*snapshots, other]), Ask)


def test_copies_are_one() -> None:
    copies = [Evidence(Near(name, NEUTRAL), DIFFER, 9, digest="x") for name in ("a.pkl", "b.pkl")]
    decision = decide(SHOWN, copies)
    assert isinstance(decision, Take)
    assert decision.evidence.near.name == "a.pkl"


def test_why() -> None:
    above = Evidence(Near("../stats/vec_normalize.pkl", NEUTRAL, 1, ("stats",)), AGREE)
    decision = decide(SHOWN, [above])
    assert isinstance(decision, Take)
    assert decision.why == (
        "vec_normalize.pkl, in stats/ one folder above: the zip shows VecNormalize, its shape fits, and it "
        "has seen as many observations as the model has steps"
    )
    other = decide(NOTHING, [some("vec_v6", STRANGE, AGREE)])
    assert isinstance(other, LeaveOut)
    assert "vec_v6.pkl, beside it, has the name of another model or time" in other.why
