"""Probe: whether a server can be an engine, before any request depends on it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx

from glm3edge.chatglm3.vocabulary import SpecialTokens, Vocabulary
from glm3edge.remote.errors import EngineUnfitError
from glm3edge.remote.http import client_options, reason_of
from glm3edge.remote.refusals import message_of
from glm3edge.remote.server import EngineServer

_OURS = "glm3edge"
_SECONDS = 120.0
"""A server's first request may take that long."""

_SAMPLE = "def f(x): # 你好，世界 42 😀"
_MAX_TOKENS = 64


def find_engines(
    urls: Iterable[httpx.URL], api_key: str | None, vocabulary: Vocabulary
) -> list[EngineServer]:
    """The servers at ``urls``, if each can compute in place of the others.

    Their adapters have one order, by which requests name them.

    Raises:
        EngineUnfitError: one cannot be reached, lacks something, or has other models.
        ConfigError: the certificates of the environment cannot be read.
    """
    first, *others = (find_engine(url, api_key, vocabulary) for url in urls)
    for one in others:
        if set(one.adapters) != set(first.adapters):
            names = ", ".join(one.adapters) or "none"
            raise EngineUnfitError(
                str(one.url),
                f"its adapters ({names}) are not those of {first.url} "
                f"({', '.join(first.adapters) or 'none'}): start all engines with the same",
            )
    return [first, *(replace(one, adapters=first.adapters) for one in others)]


def find_engine(url: httpx.URL, api_key: str | None, vocabulary: Vocabulary) -> EngineServer:
    """The server at ``url``, if it can compute for a front with this vocabulary.

    Raises:
        EngineUnfitError: it cannot be reached, or lacks something.
        ConfigError: the certificates of the environment cannot be read.
    """
    with httpx.Client(**client_options(url, api_key, read_seconds=_SECONDS)) as client:
        probe = _Probe(client, url)
        server = probe.described(api_key)
        probe.check_token_ids(server.model, vocabulary)
        probe.check_grammar(server.model, vocabulary)
    return server


class _Probe:
    """Requests to one server."""

    def __init__(self, client: httpx.Client, url: httpx.URL) -> None:
        self._client = client
        self._url = url

    def described(self, api_key: str | None) -> EngineServer:
        """The server, from its list of models."""
        listed = self._answer("GET", "models")
        cards = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(cards, list) or not cards:
            raise self._unfit("it lists no models: give the address of vLLM or of glm3edge serve")
        base = next((card for card in cards if not card.get("parent")), cards[0])
        size = base.get("max_model_len") or base.get("context_length")
        if not isinstance(size, int) or size < 1:
            raise self._unfit(f"it does not say how long the context of {base['id']} is")
        return EngineServer(
            url=self._url,
            api_key=api_key,
            model=str(base["id"]),
            adapters=tuple(str(card["id"]) for card in cards if card.get("parent") == base["id"]),
            context_size=size,
            is_ours=base.get("owned_by") == _OURS,
        )

    def check_token_ids(self, model: str, vocabulary: Vocabulary) -> None:
        """Check that token ids come back for token ids."""
        prompt = [*SpecialTokens.of(vocabulary).prefix, *vocabulary.tokenize("1, 2, 3,")]
        choice = self._choice({"model": model, "prompt": prompt, "max_tokens": 2})
        if not _ids(choice):
            raise self._unfit(
                "it does not return token ids: use vLLM 0.10.2 or later, or glm3edge serve"
            )

    def check_grammar(self, model: str, vocabulary: Vocabulary) -> None:
        """Check that a grammar is obeyed, down to token ids, and that both vocabularies agree."""
        special = SpecialTokens.of(vocabulary)
        ends = f"(<[{special.user}]> | <[{special.observation}]>)?"
        text = json.dumps(_SAMPLE, ensure_ascii=False)
        body = {
            "model": model,
            "prompt": list(special.prefix),
            "max_tokens": _MAX_TOKENS,
            "stop_token_ids": sorted(special.stop_ids),
            "structured_outputs": {"grammar": f'start: {text} <[{special.assistant}]> "b" {ends}'},
        }
        choice = self._choice(body)
        ids = _ids(choice)
        if special.assistant not in ids or _squeezed(choice.get("text")) != f"{_SAMPLE}b":
            raise self._unfit(
                "it does not follow grammars: start vLLM with a tokenizer (glm3edge "
                "export-tokenizer) and without --skip-tokenizer-init"
            )
        if max(ids) >= vocabulary.vocab_size or _text(ids, vocabulary) != f"{_SAMPLE}b":
            raise self._unfit(
                "it has another vocabulary: give the folder or the GGUF file of the model that it "
                "serves"
            )

    def _choice(self, body: Mapping[str, Any]) -> dict[str, Any]:
        sampling = {"temperature": 0, "return_token_ids": True}
        reply = self._answer("POST", "completions", {**body, **sampling})
        try:
            choice = reply["choices"][0]
            return dict(choice)
        except (LookupError, TypeError, ValueError):
            raise self._unfit("its completions are not those of OpenAI's API") from None

    def _answer(self, method: str, route: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            response = self._client.request(method, f"{self._url}/{route}", json=body)
        except httpx.HTTPError as exc:
            raise self._unfit(f"cannot be reached: {reason_of(exc)}: is it running?") from exc
        if response.status_code in (401, 403):
            raise self._unfit("it needs an API key: set GLM3EDGE_ENGINE_KEY, or give --engine-key")
        if response.is_error:
            detail = message_of(response.content)
            raise self._unfit(f"it refuses /{route} ({response.status_code}): {detail}")
        try:
            return response.json()
        except ValueError:
            raise self._unfit(f"it does not answer /{route} with JSON") from None

    def _unfit(self, reason: str) -> EngineUnfitError:
        return EngineUnfitError(str(self._url), reason)


def _ids(choice: Mapping[str, Any]) -> Sequence[int]:
    ids = choice.get("token_ids")
    is_list = isinstance(ids, list) and all(isinstance(one, int) for one in ids)
    return ids if is_list and ids is not None else ()


def _text(ids: Sequence[int], vocabulary: Vocabulary) -> str:
    return _squeezed(b"".join(map(vocabulary.piece, ids)).decode(errors="replace"))


def _squeezed(text: object) -> str:
    """``text`` without white space around it, nor between the sample and what follows it."""
    head, tail = str(text).strip()[:-1], str(text).strip()[-1:]
    return head.rstrip() + tail
