"""What is kept of responses, and for how long."""

import pytest

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.response_items import Item, ItemReference, OutputMessage
from glm3edge.schema.responses import ResponseReply, ResponseRequest
from glm3edge.serving.responses.errors import PreviousResponseNotFoundError, ResponseNotFoundError
from glm3edge.serving.responses.reply import new_response
from glm3edge.serving.responses.store import ResponseStore


def asked(text: str = "你好", **fields: object) -> ResponseRequest:
    return ResponseRequest.model_validate({"input": text} | fields)


def made(request: ResponseRequest, text: str = "您好") -> ResponseReply:
    output = [OutputMessage.model_validate({"role": "assistant", "content": text})]
    return new_response(request, created_at=1, model="m").model_copy(update={"output": output})


def put(store: ResponseStore, request: ResponseRequest, text: str = "您好") -> str:
    response = made(request, text)
    store.put(response, (*store.earlier(request), *request.input))
    return response.id


def texts(items: tuple[Item, ...]) -> list[str]:
    return [part.text for item in items for part in getattr(item, "content", [])]


def test_what_is_put_is_found_until_it_is_deleted() -> None:
    store = ResponseStore()
    response_id = put(store, asked())
    assert store.get(response_id).response.id == response_id
    store.delete(response_id)
    assert store.num_bytes == 0
    for forget in (store.get, store.delete):
        with pytest.raises(ResponseNotFoundError) as caught:
            forget(response_id)
        assert caught.value.response_id == response_id


def test_a_chain_has_all_that_was_said() -> None:
    store = ResponseStore()
    first = put(store, asked("一"), "二")
    second = put(store, asked("三", previous_response_id=first), "四")
    other = put(store, asked("五", previous_response_id=first), "六")
    following = asked("七", previous_response_id=second)
    assert texts(store.earlier(following)) == ["一", "二", "三", "四"]
    assert texts(store.get(other).items) == ["一", "二", "五"]
    store.delete(first)
    assert texts(store.earlier(following)) == ["一", "二", "三", "四"]


def test_references_are_replaced_by_what_they_name() -> None:
    store = ResponseStore()
    first = put(store, asked("一"), "二")
    second = put(store, asked("三", previous_response_id=first), "四")
    kept = store.get(second).conversation
    given = asked("五").input
    references = [ItemReference(id=item.id) for item in kept]
    assert store.resolve([*references, *given]) == [*kept, *given]
    assert store.resolve(given) == given
    store.delete(first)
    assert store.resolve(references) == list(kept)  # what follows keeps its items


@pytest.mark.parametrize("item_id", ["msg_1", "rs_1", ""])
def test_a_reference_to_nothing(item_id: str) -> None:
    store = ResponseStore()
    put(store, asked("一"), "二")
    with pytest.raises(InvalidRequestError, match="no stored response has an item") as caught:
        store.resolve([*asked("一").input, ItemReference(id=item_id)])
    assert caught.value.param == "input[1].id"
    assert repr(item_id) in str(caught.value)


def test_nothing_comes_before_a_request_that_follows_nothing() -> None:
    assert ResponseStore().earlier(asked()) == ()


def test_an_unknown_response_cannot_be_followed() -> None:
    with pytest.raises(PreviousResponseNotFoundError) as caught:
        ResponseStore().earlier(asked(previous_response_id="resp_1"))
    assert (caught.value.response_id, caught.value.param) == ("resp_1", "previous_response_id")


def test_the_oldest_go_when_there_are_too_many() -> None:
    store = ResponseStore(max_responses=2)
    first, second, third = (put(store, asked(text)) for text in "一二三")
    with pytest.raises(ResponseNotFoundError):
        store.get(first)
    assert [store.get(response_id).response.id for response_id in (second, third)] == [
        second,
        third,
    ]


def test_the_oldest_go_when_they_are_too_large() -> None:
    measured = ResponseStore()
    put(measured, asked())
    store = ResponseStore(max_bytes=3 * measured.num_bytes)
    ids = [put(store, asked()) for _ in range(5)]
    with pytest.raises(ResponseNotFoundError):
        store.get(ids[1])
    assert store.num_bytes == 3 * measured.num_bytes
    long = put(store, asked("长" * 2 * measured.num_bytes))
    with pytest.raises(ResponseNotFoundError):
        store.get(long)
    assert store.get(ids[4]).response.id == ids[4]


def test_a_chain_counts_all_it_was_made_from() -> None:
    store = ResponseStore()
    first = put(store, asked("长" * 1000))
    size = store.num_bytes
    assert size > 3000
    put(store, asked(previous_response_id=first))
    assert store.num_bytes > 2 * size
