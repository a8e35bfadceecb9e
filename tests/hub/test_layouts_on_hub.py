"""Which files of a repository are meant, and that nothing else is downloaded to find out."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from sb3port.checkpoint.checkpoint import Checkpoint
from sb3port.errors import NotPortable, SourceUnreachable, UsageError
from sb3port.readers.meaning.sb3 import read_checkpoint
from sb3port.readers.places.source import SourceOptions, resolve

from ..readers.laying import lay
from .hub_client import Client
from .state import LoopbackHub

REPO = "someone/lander"
NOISE = """
curves train_eval_metrics.zip
pickle replay_buffer.pkl model_replay_buffer.pkl
text replay.mp4 README.md config.yml args.yml results.json logs/events.out.tfevents.1.host.2.0 .gitattributes
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "repos"


def publish(hub: LoopbackHub, files: str, repo_id: str = REPO) -> str:
    lay(hub.root / repo_id, files + NOISE)
    return hub.commit(repo_id)


def pull(label: str = REPO, **options: object) -> Checkpoint:
    return read_checkpoint(resolve(label, SourceOptions(**options)))


def asked(hub: LoopbackHub) -> list[str]:
    """Give what was asked of which file, as `name` or `name bytes=first-last`, metadata left out."""
    gets = [request for request in hub.requests if request.method == "GET" and "/resolve/" in request.path]
    return [
        " ".join(filter(None, [request.path.partition("/resolve/")[2].partition("/")[2], request.range]))
        for request in gets
    ]


@pytest.mark.parametrize(
    ("files", "whole"),
    [
        ("zip lander.zip\nunzipped lander\nstats vec_normalize.pkl", "lander.zip vec_normalize.pkl"),
        ("zip any.zip\nstats vec_normalize.pkl", "any.zip vec_normalize.pkl"),
        ("zip any.zip\nstats any/vecnormalize.pkl", "any.zip any/vecnormalize.pkl"),
        ("zip any.zip\nstats any_vec.pkl", "any.zip any_vec.pkl"),
        (
            "unzipped lander\nstats vec_normalize.pkl",
            "lander/data lander/policy.pth lander/policy.optimizer.pth lander/pytorch_variables.pth "
            "lander/_stable_baselines3_version lander/system_info.txt vec_normalize.pkl",
        ),
    ],
)
def test_only_the_files_that_are_needed_are_downloaded(hub: LoopbackHub, files: str, whole: str) -> None:
    publish(hub, files)
    assert pull().normalizer is not None
    downloads = [name for name in asked(hub) if " bytes=" not in name]
    assert sorted(downloads) == sorted([*whole.split(), "config.yml"])
    glances = {name.partition(" ")[0] for name in asked(hub)} - set(downloads)
    assert glances == set()


def test_zips_are_told_apart_by_their_ends(hub: LoopbackHub) -> None:
    publish(hub, "zip a/any.zip\ncurves logs.zip\nstats a/vec_normalize.pkl")
    assert pull().provenance.files["checkpoint"].name == "a/any.zip"
    glances = [name for name in asked(hub) if " bytes=" in name]
    assert [name.partition(" ")[0] for name in glances] == ["a/any.zip", "logs.zip"]
    first, _, last = glances[0].partition("bytes=")[2].partition("-")
    assert int(last) - int(first) + 1 == 4096
    assert "logs.zip" not in asked(hub)


def test_pickles_are_told_apart_by_their_beginnings(hub: LoopbackHub) -> None:
    publish(hub, "zip lander.zip\nstats run/anything.pkl\npickle scaler.pkl")
    assert pull().provenance.files["statistics"].name == "run/anything.pkl"
    assert sorted(name for name in asked(hub) if "pkl" in name) == [
        "run/anything.pkl",
        "run/anything.pkl bytes=0-511",
        "scaler.pkl bytes=0-511",
    ]


def test_what_is_named_for_others_is_not_looked_at(hub: LoopbackHub) -> None:
    publish(hub, "zip a.zip b.zip c.zip\nstats a_vec.pkl\nagain b_vec.pkl c_vec.pkl")
    assert pull(filename="b.zip").provenance.files["statistics"].name == "b_vec.pkl"
    assert {name.partition(" ")[0] for name in asked(hub) if "vec" in name} == {"b_vec.pkl"}


@pytest.mark.parametrize(
    ("files", "filename", "expected"),
    [
        ("zip models/best/best_model.zip\nstats models/vec_normalize.pkl", None, "models/vec_normalize.pkl"),
        ("zip m/walker_v2.zip\nstats stats/vec_v2.pkl\nagain stats/vec_v1.pkl", "m/walker_v2",
         "stats/vec_v2.pkl"),
        ("unzipped run/best/a\nstats stats/vec_normalize.pkl", "run/best/a", "stats/vec_normalize.pkl"),
    ],
)  # fmt: skip
def test_statistics_above_and_in_folders_of_their_own(
    hub: LoopbackHub, files: str, filename: str | None, expected: str
) -> None:
    publish(hub, files)
    assert pull(filename=filename).provenance.files["statistics"].name == expected


def test_a_hint_for_the_hub_is_a_command_that_runs(hub: LoopbackHub) -> None:
    publish(hub, "zip run/a.zip b.zip\nstats run/vec_normalize.pkl\nagain run/vecnormalize.pkl")
    with pytest.raises(UsageError) as caught:
        pull("hf://someone/lander@main/run/a.zip")
    command = str(caught.value.hint).rpartition(": ")[2]
    named = "hf://someone/lander@main/run/a.zip --vecnormalize run/vec_normalize.pkl"
    assert command == f"sb3port convert {named}"
    assert pull("hf://someone/lander@main/run/a.zip", vecnormalize=Path("run/vec_normalize.pkl")).normalizer


def test_several_are_listed_and_nothing_is_downloaded(hub: LoopbackHub) -> None:
    publish(hub, "zip a.zip b.zip\nstats vec_normalize.pkl")
    with pytest.raises(UsageError, match=r"a\.zip, b\.zip") as caught:
        pull()
    assert "--filename a.zip" in str(caught.value.hint)
    assert all(" bytes=" in name for name in asked(hub))
    assert pull(filename="b.zip").provenance.files["checkpoint"].name == "b.zip"


def test_several_statistics_are_listed(hub: LoopbackHub) -> None:
    publish(hub, "zip lander.zip\nstats x.pkl\nagain y.pkl")
    with pytest.raises(UsageError, match=r"x\.pkl, y\.pkl"):
        pull()
    files = pull(vecnormalize=Path("y.pkl")).provenance.files
    assert files["statistics"].name == "y.pkl"
    with pytest.raises(UsageError, match=r"z\.pkl is neither .* nor one of someone/lander"):
        pull(vecnormalize=Path("z.pkl"))


def test_none(hub: LoopbackHub) -> None:
    publish(hub, "curves a.zip b.zip")
    with pytest.raises(NotPortable, match="no SB3 checkpoint"):
        pull()
    assert all(" bytes=" in name for name in asked(hub))


def test_an_older_name_of_the_repository_is_no_matter(hub: LoopbackHub) -> None:
    publish(
        hub, "zip ppo-LunarLander-v2.zip\nunzipped ppo-LunarLander-v2\nzip best.zip\nstats vec_normalize.pkl"
    )
    assert pull().provenance.files["checkpoint"].name == "ppo-LunarLander-v2.zip"


@pytest.mark.parametrize(
    ("label", "branch", "expected"),
    [
        ("hf://someone/lander", "main", "lander.zip"),
        ("hf://someone/lander/", "main", "lander.zip"),
        ("hf://models/someone/lander", "main", "lander.zip"),
        ("hf://someone/lander/run/best.zip", "main", "run/best.zip"),
        ("hf://someone/lander/run", "main", "run/best.zip"),
        ("hf://someone/lander/best", "main", "best/data"),
        ("hf://someone/lander@v1.0/run/best.zip", "v1.0", "run/best.zip"),
        ("hf://someone/lander@refs/pr/1/run/best.zip", "refs/pr/1", "run/best.zip"),
        ("hf://someone/lander@feature%2Fx", "feature/x", "lander.zip"),
        ("someone/lander@feature/x", "feature/x", "lander.zip"),
    ],
)
def test_places_on_the_hub(hub: LoopbackHub, label: str, branch: str, expected: str) -> None:
    publish(hub, "zip lander.zip run/best.zip\nunzipped best\nstats vec_normalize.pkl")
    hub.commit(REPO, branch)
    if branch != "main":
        (hub.root / REPO / "lander.zip").write_bytes(b"")
        hub.commit(REPO)
    provenance = pull(label).provenance
    assert (provenance.location, provenance.files["checkpoint"].name) == (REPO, expected)
    assert provenance.revision == hub.repos[REPO].refs[branch]


@pytest.mark.parametrize(
    ("label", "options"),
    [
        ("hf://datasets/someone/lander", {}),
        ("hf://someone", {}),
        ("hf://someone/lander/a.zip", {"filename": "b.zip"}),
        ("hf://someone/lander@v1", {"revision": "v2"}),
        ("hf://someone/lander/absent.zip", {}),
        ("someone/lander/a.zip", {}),
    ],
)
def test_wrong_places_on_the_hub(hub: LoopbackHub, label: str, options: dict[str, str]) -> None:
    publish(hub, "zip lander.zip")
    with pytest.raises(UsageError):
        pull(label, **options)


def test_large_files_come_from_another_host_without_the_token(hub: LoopbackHub, client: Client) -> None:
    hub.redirects = True
    hub.private.add(REPO)
    client.log_in(hub.token)
    publish(hub, "zip a.zip\ncurves b.zip\nstats x.pkl")
    assert pull().normalizer is not None
    elsewhere = [request for request in hub.requests if request.path.startswith("/cdn/")]
    assert {request.range for request in elsewhere} >= {None, "bytes=0-511"}
    assert {request.authorization for request in elsewhere} == {None}


def test_a_proxy_that_knows_no_ranges(hub: LoopbackHub) -> None:
    hub.ranges = False
    publish(hub, "zip a.zip\ncurves b.zip\nstats x.pkl")
    assert pull().normalizer is not None


def test_glances_are_not_repeated(hub: LoopbackHub) -> None:
    publish(hub, "zip a.zip\nstats x.pkl")
    pull()
    hub.requests.clear()
    pull()
    assert asked(hub) == []


def test_offline_from_what_was_looked_at(hub: LoopbackHub, client: Client) -> None:
    publish(hub, "zip a.zip\ncurves b.zip\nstats x.pkl")
    online = pull().provenance
    client.offline()
    assert pull().provenance.files == online.files


def test_gated_repositories_are_not_looked_into(hub: LoopbackHub, client: Client) -> None:
    publish(hub, "zip a.zip\ncurves b.zip\nstats x.pkl")
    hub.gated.add(REPO)
    with pytest.raises(SourceUnreachable, match=r"Access to a\.zip of someone/lander@main must be granted"):
        pull()
    client.log_in(hub.token)
    assert pull().normalizer is not None


def test_a_busy_hub_is_asked_again(hub: LoopbackHub, waits: list[float]) -> None:
    publish(hub, "zip a.zip\ncurves b.zip\nstats x.pkl")
    hub.retry_after = "7"
    hub.fail_next(429, 429)
    assert pull().normalizer is not None
    assert waits == [7.0, 7.0]


@pytest.mark.parametrize("requests", range(1, 8))
def test_a_hub_that_is_busy_once_at_any_time(hub: LoopbackHub, waits: list[float], requests: int) -> None:
    publish(hub, "zip a.zip\ncurves b.zip\nstats x.pkl")
    hub.fail_next(*[0] * requests, 429)
    assert pull().normalizer is not None
    assert len(waits) <= 1  # the library asks for a file's metadata again without waiting


def test_a_hub_that_stays_busy(hub: LoopbackHub, waits: list[float]) -> None:
    hub.failing = 429
    with pytest.raises(SourceUnreachable, match="answers 429") as caught:
        pull()
    assert waits == [1.0, 2.0, 4.0]
    assert "HF_TOKEN" in str(caught.value.hint)


def test_a_hub_that_wants_to_be_left_alone_for_long(hub: LoopbackHub, waits: list[float]) -> None:
    hub.failing, hub.retry_after = 429, "3600"
    with pytest.raises(SourceUnreachable, match="answers 429") as caught:
        pull()
    assert waits == []
    assert "in 3,600 s" in str(caught.value.hint)


def test_cut_downloads_go_on_where_they_were(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # what came of a part of this size is lost
    publish(hub, "zip lander.zip\nstats vec_normalize.pkl")
    hub.cut_downloads(1000, 5000)
    assert pull().normalizer is not None
    ranges = [request.range for request in hub.requests if request.path.endswith("lander.zip")]
    assert [part for part in ranges if part] == ["bytes=1000-", "bytes=6000-"]
