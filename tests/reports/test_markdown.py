"""Reports as Markdown, read back by a Markdown parser."""

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from sb3port.files.texts.markdown import code, markdown
from sb3port.reports.markdown import render_markdown, render_markdown_index

from . import examples

EXAMPLES = examples.every()
PARSER = MarkdownIt("gfm-like", {"linkify": False, "html": True})
MARKUP = {"link_open", "image", "strong_open", "em_open", "s_open", "html_block", "fence", "hr"}


def _tokens(text: str) -> list[Token]:
    found = PARSER.parse(text)
    return [token for one in found for token in (one, *(one.children or ()))]


def _table(text: str) -> list[list[str]]:
    rows: list[list[str]] = []
    for token, following in zip(found := PARSER.parse(text), found[1:], strict=False):
        if token.type == "tr_open":
            rows.append([])
        if token.type in ("th_open", "td_open"):
            rows[-1].append(
                "".join(part.content for part in following.children or () if part.type != "html_inline")
            )
    return rows


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_report_is_short_and_stable(name: str) -> None:
    text = render_markdown(EXAMPLES[name]).text
    assert text == render_markdown(examples.every()[name]).text
    assert len(text.splitlines()) <= 60
    assert text.startswith("## ")
    assert text.endswith("\n")
    assert {len(row) for row in _table(text)} == {8}


def test_what_a_failed_report_says() -> None:
    report = EXAMPLES["failing"]
    text = render_markdown(report).text
    assert text.startswith(
        "## ❌ `ppo-Pendulum-v1`: fail\n\nThe port does not compute what its source computes. 2 fail, 11"
    )
    assert "**Worst:** `tensors`: 1 of 13 tensors differs: value&#95;net.bias.\n" in text
    assert (
        "**Worst sample:** `network.value:edge`: largest difference 0.31 at &#91;41, 0&#93;, where -0.804"
        in text
    )
    assert "Its observation: `[0.98, -0.19, 7.9]`" in text
    rows = {row[0]: row[1:] for row in _table(text)}
    assert rows["network.value"] == ["SB3 here", "❌ fail", "0.31", "6.5e-6", "2.6e6", "382,716", "768"]
    assert rows["behaviour"][1] == "⏭️ skipped (informational)"
    assert report["source"]["revision"] in text
    assert examples.SHA in text


def test_recorded_outputs_are_told_apart() -> None:
    text = render_markdown(EXAMPLES["good"]).text
    assert [row[1:3] for row in _table(text) if row[0] == "network.value"] == [["recorded", "☑️ within noise"]]
    (folded,) = [line for line in text.splitlines() if line.startswith("✅ bit-exact against SB3 here: ")]
    assert "`network.value`" in folded


def test_what_is_bit_exact_is_folded() -> None:
    text = render_markdown(EXAMPLES["failing"]).text
    assert {row[0] for row in _table(text)[1:]} == {"tensors", "network.value", "behaviour"}
    assert "\n\n✅ bit-exact against the file: `integrity`\n\n" in text
    same = "`normaliser.normalized_observation`, `network.mode`, `distribution.log_prob`, `action.action`"
    assert f"\n\n✅ bit-exact against SB3 here: {same}\n\n" in text


def test_many_checks_are_folded_and_the_worst_stay() -> None:
    checks = [examples.output_check(f"network.output_{number}:drawn", 0.0, 1) for number in range(99)]
    checks[90:] = [examples.output_check(f"network.output_{n}:drawn", 1e-7, 1) for n in range(90, 400)]
    checks[200] = examples.output_check("network.output_200:drawn", 0.5, 1)
    text = render_markdown(examples.report("fail", checks)).text
    assert len(text.splitlines()) <= 60
    rows = _table(text)
    assert rows[1][0] == "network.output_200"
    assert rows[-1][0] == "and 293 more"
    assert "`network.output_19` and 70 more\n" in text


def test_causes_come_first() -> None:
    text = render_markdown(examples.explained()).text
    assert text.startswith(
        "## ❌ `ppo-Pendulum-v1`: fail\n\n**Causes:**\n\n"
        "- activation&#95;fn: Tanh in the source, ReLU in the port\n"
        "- config.json: changed since the conversion\n\nThe port does not compute"
    )
    report = examples.explained()
    report["causes"] = report["causes"][:1]
    assert "fail\n\n**Cause:** activation&#95;fn: Tanh in" in render_markdown(report).text
    report["causes"] *= 1000
    text = render_markdown(report).text
    assert len(text.splitlines()) <= 60
    assert "- and 995 more\n" in text


def test_strangers_write_no_markup() -> None:
    hostile = EXAMPLES["hostile"]
    for text in (render_markdown(hostile).text, render_markdown_index([hostile]).text):
        tokens = _tokens(text)
        markup = {token.type for token in tokens} & (MARKUP - {"strong_open"})
        assert markup == set()
        assert sum(token.type == "strong_open" for token in tokens) <= 2
        html = {token.content for token in tokens if token.type == "html_inline"}
        assert html <= {"<code>", "</code>"}
        assert sum(token.type == "heading_open" for token in tokens) == 1
        assert all(character.isprintable() or character == "\n" for character in text)
        assert "$" not in text
        assert "@user" not in text


@pytest.mark.parametrize(
    "text", [examples.HOSTILE, "`", "``a`", "", " ", "|", "\\", "a\\|b", "www.a.b", "<b>", "&lt;"]
)
def test_texts_come_back_as_they_were(text: str) -> None:
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    for escaped in (code(text).text, markdown("{}", text).text):
        ((cell,),) = _table(f"| {escaped} |\n|---|\n")
        assert cell.strip() == shown.strip()


def test_index_starts_with_the_worst() -> None:
    rows = _table(
        render_markdown_index([EXAMPLES[name] for name in ("good", "noisy", "failing", "inconclusive")]).text
    )
    assert [row[2] for row in rows[1:]] == ["❌ fail", "⚠️ inconclusive", "☑️ within noise", "✅ bit-exact"]
    assert rows[0][4] == "worst finding"
    assert rows[1][4] == "tensors: 1 of 13 tensors differs: value_net.bias"
    several = [examples.good(), examples.explained(), examples.failing(), examples.noisy()]
    text = render_markdown_index(several).text
    assert text.startswith("## Parity: 2 of 4 fail\n")
    assert _table(text)[1][4] == "activation_fn: Tanh in the source, ReLU in the port, and 1 more"
