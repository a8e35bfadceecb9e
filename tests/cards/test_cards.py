"""Model cards of policies of every kind: what they show runs."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

from sb3port.files.texts.markdown import markdown
from sb3port.ports.card.card import model_card
from sb3port.ports.card.facts import CardFacts, Licence
from sb3port.ports.reading import read_port
from tests.rollouts.models import MODELS, make_model, raw_observations, row_of


@pytest.mark.parametrize("name", MODELS)
def test_code_of_a_card_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = make_model(name, tmp_path / "source").port(tmp_path / "port")
    monkeypatch.chdir(port)
    card = ModelCard.load(port / "README.md")
    lerobot, plain = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
    variables: dict[str, Any] = {}
    exec(lerobot, variables)
    size = int(np.prod(MODELS[name].make_env().action_space.shape))
    assert variables["action"].shape == (1, size)
    observation = row_of(raw_observations(name, 1), 0)
    variables = {"observation": observation, "state": None, "start": np.array([True]), "masks": None}
    exec(plain, variables)
    assert np.shape(variables["action"]) == MODELS[name].make_env().action_space.shape


def test_names_of_strangers_stay_texts(tmp_path: Path) -> None:
    folder = tmp_path / "a|b`c<script>"
    port = make_model("box", folder).port(tmp_path / "port")
    (tmp_path / "port" / "README.md").unlink()
    checkpoint = read_port(port)
    card = model_card(checkpoint, CardFacts(licence=Licence(markdown("Not stated."))))
    assert "<script>" not in card.partition("\n---\n")[2]
    assert ModelCard(card).data.model_name == "a|b`c<script>"
    rows = [line for line in card.splitlines() if line.startswith("| source")]
    assert [row.count("|") for row in rows] == [3]
