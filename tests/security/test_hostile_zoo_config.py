"""Hostile `config.yml` files: rl_zoo3 runs what is in them, sb3port does not."""

import time
from pathlib import Path

import pytest

from sb3port.errors import NotPortable, Unsafe
from sb3port.readers.meaning.zoo_config import read_zoo_config

CALL = "__import__('pathlib').Path('owned').touch()"
TAGS = {
    "apply": "a: !!python/object/apply:pathlib.Path.touch [owned]",
    "new": "a: !!python/object/new:pathlib.PosixPath [owned]",
    "object": "a: !!python/object:argparse.Namespace {b: 1}",
    "module": "a: !!python/module:antigravity ''",
    "name": "a: !!python/name:os.system ''",
    "name of a class in a package of the same beginning": "a: !!python/name:torchowned.X ''",
    "beside an OrderedDict": (
        "!!python/object/apply:collections.OrderedDict\n"
        "- - - n_steps\n    - !!python/object/apply:os.system [touch owned]"
    ),
    "as a key": "? !!python/object/apply:os.system [touch owned]\n: 1",
    "merged": "x: &x {a: !!python/object/apply:os.system [touch owned]}\ny: {<<: *x}",
    "verbatim": "a: !<tag:yaml.org,2002:python/object/apply:os.system> [touch owned]",
    "directive": "%TAG !e! tag:yaml.org,2002:python/object/apply:\n---\na: !e!os.system [touch owned]",
}
CODE = {
    "call": CALL,
    "in dict": f"dict(a={CALL})",
    "in a list": f"[1, {CALL}]",
    "as a key": f"{{{CALL}: 1}}",
    "lambda": "(lambda: 1)()",
    "comprehension": "[x for x in (1,)]",
    "attribute": "dict(a=nn.modules.os)",
    "attribute of nothing": "().__class__",
    "walrus": "(a := 1)",
    "format": f"f'{{{CALL}}}'",
    "dict of an argument": f"dict({CALL})",
    "called class": "dict(a=nn.ReLU())",
}
KEYS = ("normalize", "normalize_kwargs", "policy_kwargs", "env_kwargs")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", TAGS)
def test_tags_are_refused_by_name(name: str, here: Path) -> None:
    with pytest.raises(Unsafe, match=r"!!python/(object|module|name)") as caught:
        read_zoo_config(TAGS[name].encode())
    assert caught.value.exit_code == 5
    assert not (here / "owned").exists()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", CODE)
def test_code_is_refused(name: str, key: str, here: Path) -> None:
    with pytest.raises(Unsafe, match=f"{key} holds the code"):
        read_zoo_config(f'{key}: "{CODE[name]}"'.encode())
    assert not (here / "owned").exists()


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60))
SWELLING = {
    "billion laughs": LAUGHS,
    "billion merges": MERGES,
    "alias that holds itself": "a: &a [*a]",
    "merge of itself": "a: &a {<<: *a}",
    "key that holds itself": "? &a [*a]\n: 1",
    "deep": "[" * 100_000,
    "deep mappings": "{a: " * 20_000,
    "deep expression": "policy_kwargs: '" + "[" * 9_000 + "'",
    "many signs": "policy_kwargs: '" + "-" * 9_000 + "1'",
    "long attribute": "policy_kwargs: 'a" + ".a" * 4_000 + "'",
    "long text": "policy: " + "x" * 20_000,
    "large file": "# " + "x" * 1_000_000,
    "long number": "n_steps: " + "9" * 9_000,
    "sexagesimal number": "n_steps: 1" + ":59" * 3_000,
    "large exponent": "n_steps: 1.0e+400",
    "number beyond 64 bits": "n_steps: 99999999999999999999999",
    "not text": "\x00",
}


@pytest.mark.parametrize("name", SWELLING)
def test_what_hangs_or_swells_is_refused_soon(name: str) -> None:
    start = time.process_time()
    with pytest.raises(NotPortable) as caught:
        read_zoo_config(SWELLING[name].encode())
    assert time.process_time() - start < 20
    assert len(caught.value.message) < 600


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(NotPortable, match="not text in UTF-8"):
        read_zoo_config(b"a: \xff")


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "config.yml").mkdir()
    with pytest.raises(NotPortable, match="cannot be read"):
        read_zoo_config(tmp_path / "config.yml")
