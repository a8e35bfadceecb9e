"""Reports as HTML, read back by a parser: self-contained, without scripts, with all that the JSON says."""

import os
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from sb3port.files.texts.names import file_name
from sb3port.reports.html import render_html, render_html_index
from sb3port.reports.numbers import exact_text

from . import examples

EXAMPLES = examples.every()
VOID = {"meta", "link", "wbr", "br"}


class Page(HTMLParser):
    """What is in a page, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    def attributes(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]


def pages() -> dict[str, str]:
    index = render_html_index(list(EXAMPLES.values()), [()] * len(EXAMPLES)).text
    return {**{name: render_html(report).text for name, report in EXAMPLES.items()}, "index": index}


PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_nothing_else(name: str) -> None:
    page = Page(PAGES[name])
    assert page.open == []
    assert {"script", "img", "iframe", "object", "form"} & {tag for tag, _ in page.elements} == set()
    assert [key for _, attributes in page.elements for key in attributes if key.startswith("on")] == []
    assert all(link.startswith(("#", "data:image/svg+xml,")) for link in page.attributes("href"))
    assert page.attributes("src") == []
    assert "url(" not in PAGES[name]
    assert "@import" not in PAGES[name]
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.attributes("href") if link.startswith("#")} <= set(ids)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_control_characters(name: str) -> None:
    assert all(character.isprintable() or character == "\n" for character in PAGES[name])


def test_strangers_texts_are_texts() -> None:
    page = Page(PAGES["hostile"])
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in examples.HOSTILE)
    assert f"{shown} fail. The port" in page.text
    assert page.text.count(shown) > 40
    assert "7*7" in page.text
    reference = Page(PAGES["explained"])
    kinds = [{tag for tag, _ in one.elements} for one in (page, reference)]
    assert kinds[0] <= kinds[1]


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "hostile"])
def test_everything_is_there(name: str) -> None:
    report, page = EXAMPLES[name], Page(PAGES[name])
    assert f"ppo-Pendulum-v1 {report['verdict']}." in page.text
    assert len([one for one in page.attributes("id") if one.startswith("check-")]) == len(report["checks"])
    for check in report["checks"]:
        assert check["reason"] in page.text
        assert f"{check['id']}: {check['verdict']}" in page.attributes("title")
    for tensor in report["tensors"]:
        assert tensor["name"] in page.text
    for one in report["observations"]:
        assert f"{one['count']}, {one['label']}" in page.text
    for value in report["environment"].values():
        assert str(value) in page.text


def test_the_worst_observation_is_shown() -> None:
    text = Page(PAGES["of_dict"]).text
    assert "The observation achieved_goal 00.51-0.2521e-9 The observation pixels" in text
    assert "pixels, its first 64 numbers" in text
    check = EXAMPLES["failing"]["checks"][-2]
    assert exact_text(check["worst"]["reference"]) in Page(PAGES["failing"]).text


def test_every_output_has_its_plots() -> None:
    report, page = EXAMPLES["failing"], Page(PAGES["failing"])
    inexact = [check for check in report["checks"] if check["verdict"] != "bit-exact"]
    plotted = sum(check["histogram"] is not None for check in inexact)
    labels = page.attributes("aria-label")
    assert labels.count("Histogram of the absolute differences") == plotted == 1
    assert labels.count("Residuals: port minus reference") == plotted
    assert "diagonal" not in PAGES["failing"]
    bars = [attributes for _, attributes in page.elements if "beyond" in str(attributes.get("class"))]
    assert bars
    nothing = Page(PAGES["inconclusive"])
    assert "Outputs" not in nothing.text
    assert "Tensors" not in nothing.text


def test_what_is_bit_exact_is_folded() -> None:
    text = PAGES["failing"]
    checks = text.partition("<h2>Checks</h2>")[2].partition("<h2>Outputs</h2>")[0]
    told, _, folded = checks.partition("<details")
    exact = [check for check in EXAMPLES["failing"]["checks"] if check["verdict"] == "bit-exact"]
    assert f"{len(exact)} bit-exact</span></summary>" in folded
    assert "open" not in folded.partition(">")[0]
    assert [told.count('<tr id="check-'), folded.count('<tr id="check-')] == [3, len(exact)]
    wrong, _, tensors = text.partition("<h2>Tensors</h2>")[2].partition("<details")
    assert "value_<wbr>net.bias" in wrong
    assert "8 bit-exact</span></summary>" in tensors


def test_hundreds_of_outputs_are_a_page_that_can_be_read() -> None:
    checks = [examples.output_check(f"normaliser.key_{n}:drawn", 0.0, 1) for n in range(600)]
    checks[400] = examples.output_check("normaliser.key_400:drawn", 0.5, 1)
    page = Page(text := render_html(examples.report("fail", checks)).text)
    assert len(page.attributes("title")) < 20  # a square each is drawn for those that are not folded
    assert page.attributes("aria-label").count("Residuals: port minus reference") == 1
    assert len(text) < 1_000_000


def test_causes_come_first_and_no_name_is_capitalised() -> None:
    text = Page(PAGES["explained"]).text
    cause = text.index("activation_fn: Tanh in the source, ReLU in the port")
    assert text.index("fail.") < cause < text.index("config.json: changed since") < text.index("algorithm")
    report = examples.failing()
    report["checks"][1]["reason"] = "value_net.bias differs by up to 3 at [0]"
    text = Page(render_html(report).text).text
    assert "value_net.bias differs by up to 3 at [0]." in text
    assert "Value_net" not in text


def test_index_starts_with_the_worst_and_links() -> None:
    reports = [EXAMPLES["good"], EXAMPLES["failing"]]
    links = [(file_name("good.html"),), (file_name("failing"), file_name("parity.html"))]
    page = Page(render_html_index(reports, links).text)
    assert [link for link in page.attributes("href") if link.endswith(".html")] == [
        "failing/parity.html",
        "good.html",
    ]
    assert page.text.index("1 of 13 tensors differs") < page.text.index("network.mode:recorded@reference")
    assert "Parity reports 1 of 2 fails" in page.text
    assert "worst finding" in page.text
    index = Page(render_html_index([examples.explained()], [()]).text)
    assert "activation_fn: Tanh in the source, ReLU in the port, and 1 more" in index.text


def test_bytes_do_not_depend_on_the_process() -> None:
    code = (
        "from tests.reports import examples\n"
        "from sb3port.reports.files import FILES, render\n"
        "reports = list(examples.every().values())\n"
        "print([render(some, form) for some in (reports[:1], reports) for form in FILES])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            cwd=os.fspath(__file__).partition("/tests/")[0],
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
