"""Tokens that a fine-tune added to ChatGLM3's, which a converted model does not have.

transformers lists them in added_tokens.json, newer versions in tokenizer_config.json. The official
tokenizer knows its role tags by the ids after its pieces; where a training program adds the same
tags as new tokens, the model was trained on ids that no prompt has.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from glm3edge_convert.checkpoint.json_files import read_object
from glm3edge_convert.errors import CheckpointError, TokenizerError
from glm3edge_convert.printable import one_line
from glm3edge_convert.tokenizer.vocab import LLAMA_CPP_TEXTS, SAFE_TEXTS, Vocabulary

ADDED_FILE, CONFIG_FILE = "added_tokens.json", "tokenizer_config.json"
_MAX_NAMED = 10  # tokens in the warning
_MAX_TEXT = 40  # characters of one

logger = logging.getLogger(__name__)


def check_added_tokens(folder: Path, vocabulary: Vocabulary) -> None:
    """Warn of the tokens that the folder of a model or an adapter adds to a vocabulary.

    Raises:
        TokenizerError: one has the text or the id of a role tag, and not both.
    """
    names = {token.text: token_id for token_id, token in enumerate(vocabulary.tokens)}
    added = []
    for file, text, token_id in _listed(folder):
        known = next((names[name] for name in _spellings(text) if name in names), None)
        if known == token_id:
            continue
        for special in (known, token_id):
            if special is not None and vocabulary.is_special(special):
                tag = vocabulary.tokens[special].text
                problem = (
                    f"has the token {_quoted(text)} with the id {token_id}, and ChatGLM3's prompts "
                    f"have {tag} with the id {special}; train the model with the official tokenizer"
                )
                raise TokenizerError(folder / file, problem)
        added.append(_quoted(text))
    if added:
        more = f" and {len(added) - _MAX_NAMED} more" if len(added) > _MAX_NAMED else ""
        logger.warning(
            "%s adds tokens that the converted model does not have: %s%s; they are read and "
            "written as plain text",
            one_line(str(folder)),
            ", ".join(added[:_MAX_NAMED]),
            more,
        )


def _spellings(text: str) -> tuple[str, ...]:
    """Texts that a token may have in the vocabulary."""
    return tuple(filter(None, (LLAMA_CPP_TEXTS.get(text), SAFE_TEXTS.get(text), text)))


def _listed(folder: Path) -> list[tuple[str, str, int]]:
    """The file, text and id of each token that a folder lists, in the order of their ids."""
    decoder = _read(folder / CONFIG_FILE).get("added_tokens_decoder")
    listed = [
        (CONFIG_FILE, entry.get("content"), token_id)
        for token_id, entry in (decoder.items() if isinstance(decoder, dict) else ())
        if isinstance(entry, dict)
    ]
    listed += [
        (ADDED_FILE, text, token_id) for text, token_id in _read(folder / ADDED_FILE).items()
    ]
    files = {
        (text, int(token_id)): file
        for file, text, token_id in listed
        if isinstance(text, str) and str(token_id).isdecimal()
    }
    return sorted(((file, *token) for token, file in files.items()), key=lambda found: found[2])


def _read(path: Path) -> Mapping[str, Any]:
    """Contents of a file, empty if there is none, or it is damaged: it is not needed."""
    if path.is_file():
        with suppress(CheckpointError):
            return read_object(path)
    return {}


def _quoted(text: str) -> str:
    return repr(one_line(text[:_MAX_TEXT]))
