"""Requests are encoded exactly, and the same for every server."""

from __future__ import annotations

import pytest

from bench.load import FILL_BATCH, Template, batches, encode, fill_batches


def test_a_command_is_an_array_of_bulk_strings() -> None:
    assert encode("SET", b"k", "") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"


def test_a_template_without_placeholders_is_the_command() -> None:
    assert list(Template("SCAN 0 MATCH %7").expand(0, 2, 10)) == [
        encode("SCAN", "0", "MATCH", "%7"),
        encode("SCAN", "0", "MATCH", "%7"),
    ]


def test_running_keys_continue_across_occurrences_and_requests() -> None:
    expanded = list(Template("DEL {each} {each}").expand(1, 3, 10))
    keys = [f"k:{number:012}" for number in range(2, 6)]
    assert expanded == [encode("DEL", *keys[:2]), encode("DEL", *keys[2:])]


def test_kinds_of_running_keys_count_apart() -> None:
    (expanded,) = Template("RENAME {each} {fresh}").expand(7, 8, 10)
    assert expanded == encode("RENAME", "k:000000000007", "n:000000000007")


def test_random_keys_stay_within_the_dataset_and_are_the_same_in_every_run() -> None:
    template = Template("GET {key}")
    expanded = list(template.expand(0, 200, 5))
    assert set(expanded) == {encode("GET", f"k:{number:012}") for number in range(5)}
    assert expanded == list(template.expand(0, 200, 5))


@pytest.mark.parametrize("word", ["key", "value", "number", "bit", "byte", "seconds"])
def test_every_random_word_keeps_its_width(word: str) -> None:
    sizes = {len(request) for request in Template(f"X {{{word}}}").expand(0, 500, 1_000_000)}
    assert len(sizes) == 1


def test_only_running_words_use_up_what_they_find() -> None:
    assert Template("DEL {each}").is_consuming
    assert Template("SETNX {fresh} {value}").is_consuming
    assert not Template("GET {key}").is_consuming


def test_an_unknown_placeholder_is_an_error() -> None:
    with pytest.raises(KeyError):
        Template("GET {nonsense}")


def test_batches_hold_as_many_requests_as_the_pipeline_is_deep() -> None:
    assert list(batches([b"a", b"b", b"c", b"d"], 2)) == [b"ab", b"cd"]


def test_a_fill_sends_what_the_template_says() -> None:
    template = Template("SET {each} xxxxxxxxxx")
    start, stop = 10 * FILL_BATCH, 13 * FILL_BATCH
    filled = list(fill_batches(template, start, stop))
    assert len(filled) == 3
    assert b"".join(filled) == b"".join(template.expand(start, stop, stop))
