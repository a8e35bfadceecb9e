"""A stranger's text in the model card stays a text: in prose, tables, examples, and the metadata in front."""

import ast
import re
import shlex
import subprocess

import pytest
import yaml
from markdown_it import MarkdownIt

from sb3port.errors import shortened
from sb3port.files.texts.characters import one_line
from sb3port.files.texts.front_matter import front_matter
from sb3port.files.texts.markdown import bullets, code, fenced, link, markdown, table
from sb3port.files.texts.source_code import python, shell
from sb3port.ports.card.card import model_card

from .nasty import Make, each, is_plain

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_ALLOWED = {"text", "softbreak", "strong_open", "strong_close", "code_inline", "html_inline"}


def inline(text: str) -> list[tuple[str, str]]:
    """Give the kinds of what is in a text, and the contents."""
    tokens = [child for token in _MARKDOWN.parse(text) for child in token.children or ()]
    return [(token.type, token.content) for token in tokens]


@each
def test_prose_and_code(text: str) -> None:
    for found in (
        markdown("{}", text),
        code(text),
        markdown("a {} b", text),
        bullets([markdown("{}", text)]),
    ):
        assert is_plain(found.text)
        kinds = [token.type for token in _MARKDOWN.parse(found.text)]
        assert not set(kinds) & {
            "heading_open",
            "fence",
            "code_block",
            "hr",
            "ordered_list_open",
            "html_block",
        }
        assert kinds.count("bullet_list_open") == found.text.startswith("- ")
        assert {kind for kind, _ in inline(found.text)} <= _ALLOWED
        html = {content for kind, content in inline(found.text) if kind == "html_inline"}
        assert html <= {"<code>", "</code>"}


@each
def test_tables(text: str) -> None:
    cells = [markdown("{}", text), code(text)]
    found = _MARKDOWN.parse(table([markdown("a"), markdown("b")], [cells, cells]).text)
    assert [token.type for token in found].count("td_open") == 4


@each
def test_python(text: str) -> None:
    source = python("x = {}\ny = {}", text, text)
    assert source.text.isascii()
    assert "`" not in source.text
    one, other = (node.value for node in ast.parse(source.text).body if isinstance(node, ast.Assign))
    assert ast.literal_eval(one) == ast.literal_eval(other) == text


@each
def test_shell(text: str) -> None:
    text = text.replace("\0", "")[:1000]
    word = shell("printf %s {}", text)
    assert is_plain(word.text)
    assert "\n" not in word.text
    expected = text.encode("utf-8", "surrogateescape" if "\ud800" not in text else "surrogatepass")
    if "\ud800" not in text:
        ran = subprocess.run(
            ["bash", "-c", word.text], capture_output=True, env={"LC_ALL": "C.UTF-8"}, check=True
        )
        assert ran.stdout == expected
    if one_line(text) == text and "`" not in text:
        assert shlex.split(word.text) == ["printf", "%s", text]


@each
def test_fences(text: str) -> None:
    for source in (python("{}", text), shell("{}", text), python("{}", python("'" + "`" * 50 + "'"))):
        tokens = _MARKDOWN.parse(fenced(source).text)
        assert [token.type for token in tokens] == ["fence"]
        assert tokens[0].content == f"{source}\n"


@each
def test_front_matter(text: str) -> None:
    fields = {"a": text, text or "b": [text, {"c": text}]}
    found = front_matter(fields).text
    assert is_plain(found)
    inner = re.fullmatch(r"---\n(.*?)\n---", found, re.DOTALL)
    assert inner is not None
    assert not re.search(r"^---", inner[1], re.MULTILINE)
    assert yaml.safe_load(inner[1]) == fields


@each
def test_cards(text: str, make: Make, tmp_path: object) -> None:
    card = model_card(make(text))
    assert is_plain(card)
    front, _, body = card.removeprefix("---\n").partition("\n---\n")
    assert yaml.safe_load(front)["library_name"] == "lerobot"
    tokens = _MARKDOWN.parse(body)
    assert [token.info for token in tokens if token.type == "fence"] == ["sh", "python", "python"]
    assert [token.tag for token in tokens if token.type == "heading_open"] == ["h1", *["h2"] * 6]
    for block in re.findall(r"```python\n(.*?)```", body, re.DOTALL):
        calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)}
        assert not {name for name in calls if "__import__" in name or "system" in name}
    links = [token.attrs["href"] for t in tokens for token in t.children or () if token.type == "link_open"]
    assert set(links) == {"https://github.com/huggingface/lerobot"}
    assert not [token for t in tokens for token in t.children or () if token.type == "image"]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "x", " https:x"]
)
def test_links_lead_to_the_web(address: str) -> None:
    assert link(code("a"), address).text == "`a`"
    assert link(code("a"), "https://a.b/c d)[`\n").text == "[`a`](https://a.b/c%20d%29%5B%60%0A)"


def test_what_is_too_long_is_cut() -> None:
    assert code("x" * 60_000).text == f"`{shortened('x' * 60_000)}`"


@pytest.mark.parametrize(
    "text", ["a-b", "on", "Yes", "null", "e5", "a: b", "a #b", "-", "1.5", "2020-01-01", "y"]
)
def test_plain_metadata_is_what_pyyaml_writes(text: str) -> None:
    """Most fields are written without PyYAML, which takes long; what reads them sees no difference."""
    fields = {"name": text, "tags": ["x", text], "of": text}
    written = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
    assert front_matter(fields).text == f"---\n{written.strip()}\n---"
