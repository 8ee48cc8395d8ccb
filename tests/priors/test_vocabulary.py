"""A vocabulary of letters: captions are short, names are spelled, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from ddcodec.priors.model import require_libraries
from ddcodec.priors.vocabulary import LENGTH, WORDS, vocabulary, write


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> object:
    require_libraries()
    from transformers import CLIPTokenizer

    folder = tmp_path_factory.mktemp("words")
    write(folder)
    return CLIPTokenizer.from_pretrained(folder)


def test_words_of_captions_are_one_token_and_names_are_spelled(tokenizer) -> None:
    assert tokenizer.tokenize("a photo of zebra") == [
        "a</w>", "photo</w>", "of</w>", "z", "e", "b", "r", "a</w>",
    ]  # fmt: skip
    for word in WORDS:
        assert tokenizer.tokenize(word) == [f"{word}</w>"]
    assert tokenizer.model_max_length == LENGTH


def test_any_name_can_be_spelled(tokenizer) -> None:
    unknown = tokenizer.unk_token_id
    for name in ("Ærø", "日本語", "🐝", "black-footed albatross 2"):
        ids = tokenizer(name, add_special_tokens=False)["input_ids"]
        assert ids
        assert unknown not in ids


def test_it_is_a_folder_that_the_library_writes_back_alike(tokenizer, tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    tokenizer.save_pretrained(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path)
    text = "a 2 x 2 collage of ants"
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert len(set(vocabulary().values())) == len(vocabulary()) == len(again)
