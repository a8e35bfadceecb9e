"""What is released has one version, and the workflows run what the Makefile has."""

import re
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml

from sb3port import __version__
from tests.docs.pages import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PROJECTS = {
    folder: tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))
    for folder in (".", "lerobot_policy_ppo")
}


def workflow(path: Path) -> dict[Any, Any]:
    """Read a workflow; YAML reads its `on` as true."""
    content: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def test_one_version_everywhere() -> None:
    for folder, project in PROJECTS.items():
        said = ROOT / folder / project["tool"]["hatch"]["version"]["path"]
        assert said.resolve() == ROOT / "sb3port" / "checkpoint" / "version.py"
        assert "version" in project["project"]["dynamic"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", changes, re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert sections[1] == f"{__version__} - {citation['date-released']}"
    assert citation["version"] == __version__


def test_each_distribution_wants_the_other_of_its_series() -> None:
    series = f"~={__version__.rpartition('.')[0]}.0"
    assert f"sb3port[torch]{series}" in PROJECTS["lerobot_policy_ppo"]["project"]["dependencies"]
    (wanted,) = (
        requirement
        for requirement in PROJECTS["."]["project"]["optional-dependencies"]["lerobot"]
        if requirement.startswith("lerobot_policy_ppo")
    )
    assert wanted.startswith(f"lerobot_policy_ppo{series};")


@pytest.mark.parametrize("folder", PROJECTS)
def test_metadata_says_where_everything_is(folder: str) -> None:
    project = PROJECTS[folder]["project"]
    assert set(project["urls"]) == {"Documentation", "Source", "Issues", "Changelog"}
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert (project["urls"]["Source"], project["urls"]["Documentation"]) == (
        site["repo_url"],
        site["site_url"],
    )
    assert (ROOT / folder / "LICENSE").is_file()
    assert (ROOT / folder / "README.md").is_file()


def test_the_readme_of_an_index_leads_to_the_repository() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for rule in PROJECTS["."]["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    places = re.findall(r"\]\((.+?)\)", text)
    assert len(places) > 15
    assert all(place.startswith("https://") for place in places)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_what_there_is(path: Path) -> None:
    content = workflow(path)
    assert content["permissions"] == {"contents": "read"}
    jobs = content["jobs"].values()
    steps = [step for job in jobs for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)  # a tag can be moved
    commands = "\n".join(step["run"] for step in steps if "run" in step)
    made = re.findall(r"\bmake ([a-z-]+)", commands)
    assert set(made) <= TARGETS
    assert made or ".ci/run" in commands
    assert all("timeout-minutes" in job for job in jobs)
    for job in jobs:  # rights are for the jobs that only publish what others built
        if "permissions" in job:
            assert not any("run" in step for step in job["steps"])


def test_workflows_are_those_that_a_release_needs() -> None:
    assert [path.stem for path in WORKFLOWS] == ["docs", "newest", "publish", "tests"]
    publish = workflow(ROOT / ".github" / "workflows" / "publish.yml")
    assert publish[True] == {"push": {"tags": ["v*"]}}
    assert publish["jobs"]["publish"]["needs"] == "build"
    assert publish["jobs"]["publish"]["permissions"] == {"id-token": "write"}


@pytest.mark.parametrize("name", ["bug", "checkpoint"])
def test_issue_templates_ask_for_what_a_report_needs(name: str) -> None:
    template = yaml.safe_load(
        (ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text(encoding="utf-8")
    )
    asked = " ".join(field["attributes"]["label"] for field in template["body"])
    assert "sb3port inspect --json" in asked
    assert "sb3port --version" in asked
