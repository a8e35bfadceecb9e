"""What a report says, in words and numbers."""

from typing import Any

import pytest

from sb3port.reports import words
from sb3port.reports.numbers import size_text
from sb3port.reports.unread import unread

from . import examples


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, ""),
        (0.0, "0"),
        (141.4, "141"),
        (99.7, "100"),
        (99.4, "99"),
        (9.96, "10"),
        (0.31, "0.31"),
        (0.001, "0.001"),
        (0.00094, "9.4e-4"),
        (9.63e-7, "9.6e-7"),
        (1e-7, "1e-7"),
        (16_777_216, "1.7e7"),
        (838_861, "838,861"),
        (999_999.7, "1e6"),
        (-287.2, "-287"),
        ("inf", "inf"),
        ("nan", "nan"),
    ],
)
def test_sizes_are_plain(size: Any, text: str) -> None:
    assert size_text(size) == text


def test_a_failure_ends_with_its_limit() -> None:
    check = examples.output_check("network.value:edge", 0.5, 1)
    assert "limit" not in words.describe(check)  # as older versions wrote them
    assert words.describe({**check, "limit": 6.48e-6}).endswith("; the limit is 6.5e-6")
    assert words.describe({**check, "limit": 0.0}).endswith("; the limit is 0")
    assert "limit" not in words.describe({**check, "limit": 1.0, "verdict": "within atol"})


def test_limits_of_older_reports_follow_from_their_noise() -> None:
    report = examples.failing()
    check = examples.output_check("network.value:edge", 0.5, 1)
    assert words.tolerance_of(check, report) == pytest.approx(6.48e-6)
    assert words.tolerance_of({**check, "noise": None}, report) is None
    assert words.tolerance_of({**check, "limit": 0.25}, report) == 0.25


def test_the_worst_is_what_is_furthest_beyond_its_limit() -> None:
    near = {**examples.output_check("network.value:edge", 5.0, 1), "limit": 1.0}
    far = {**examples.output_check("network.mode:edge", 0.5, 2), "limit": 1e-6}
    exact = {**examples.output_check("normaliser.seen:edge", 1e-3, 3), "limit": 0.0}
    assert words.worst_check(examples.report("fail", [near, far])) == far
    assert words.worst_check(examples.report("fail", [near, far, exact])) == exact


def test_of_the_files_the_last_check_is_the_worst() -> None:
    files, names = (examples.blank(f"integrity.{name}", "fail", "wrong") for name in ("files", "names"))
    outputs = examples.output_check("network.value:edge", 5.0, 1)
    assert words.worst_check(examples.report("fail", [files, names, outputs])) == names


def test_titles_of_an_index() -> None:
    good, bad, noisy, unsure = examples.good(), examples.failing(), examples.noisy(), examples.inconclusive()
    gone = unread("x", "x is not a folder")
    assert words.index_title([good, bad, noisy, bad]) == "2 of 4 fail"
    assert words.index_title([good, bad]) == "1 of 2 fails"
    assert words.index_title([bad, bad]) == "all 2 fail"
    assert words.index_title([good, unsure]) == "1 of 2 is inconclusive"
    assert words.index_title([good, good, good]) == "all 3 are bit-exact"
    assert words.index_title([good, bad, gone]) == "1 of 3 fails, 1 could not be read"
    assert words.index_title([good, gone]) == "1 of 2 is bit-exact, 1 could not be read"
    assert words.index_title([gone, gone]) == "2 could not be read"
    assert words.finding(gone) == "x is not a folder"
    assert words.finding(good) == "network.mode:recorded@reference: " + words.describe(good["checks"][-3])
