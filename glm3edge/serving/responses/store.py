"""In-memory store of recent responses; the oldest are dropped first."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from glm3edge.errors import InvalidRequestError
from glm3edge.schema.response_items import Item, ItemReference
from glm3edge.schema.responses import ResponseReply, ResponseRequest
from glm3edge.serving.responses.errors import PreviousResponseNotFoundError, ResponseNotFoundError

MAX_RESPONSES = 1000
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response, and all items it was made from, including earlier input and output."""

    response: ResponseReply
    items: tuple[Item, ...]

    @property
    def conversation(self) -> tuple[Item, ...]:
        """Items that a following response continues."""
        return (*self.items, *self.response.output)


class ResponseStore:
    """Store of responses by id, limited in number and size. Not thread-safe."""

    def __init__(self, *, max_responses: int = MAX_RESPONSES, max_bytes: int = MAX_BYTES) -> None:
        """Sizes are bytes of JSON; a response counts with all items it was made from."""
        self._max_responses = max_responses
        self._max_bytes = max_bytes
        self._stored: OrderedDict[str, StoredResponse] = OrderedDict()
        self._sizes: dict[str, int] = {}

    def put(self, response: ResponseReply, items: Sequence[Item]) -> None:
        """Store ``response``, which was made from ``items``, unless it alone is too large."""
        size = _num_bytes(response, items)
        if size > self._max_bytes:
            return
        self._stored[response.id] = StoredResponse(response, tuple(items))
        self._sizes[response.id] = size
        while len(self._stored) > self._max_responses or self.num_bytes > self._max_bytes:
            self.delete(next(iter(self._stored)))

    def get(self, response_id: str) -> StoredResponse:
        """The response of an id.

        Raises:
            ResponseNotFoundError: it is not stored, or no longer.
        """
        try:
            return self._stored[response_id]
        except KeyError:
            raise ResponseNotFoundError(response_id) from None

    def delete(self, response_id: str) -> None:
        """Delete a response; those that follow it keep the items they were made from.

        Raises:
            ResponseNotFoundError: it is not stored, or no longer.
        """
        if response_id not in self._stored:
            raise ResponseNotFoundError(response_id)
        del self._stored[response_id], self._sizes[response_id]

    def earlier(self, request: ResponseRequest) -> tuple[Item, ...]:
        """Items of the response that ``request`` follows; none if it names none.

        Raises:
            PreviousResponseNotFoundError: that response is not stored.
        """
        response_id = request.previous_response_id
        if response_id is None:
            return ()
        try:
            return self.get(response_id).conversation
        except ResponseNotFoundError as exc:
            raise PreviousResponseNotFoundError(response_id) from exc

    def resolve(self, items: Sequence[Item]) -> list[Item]:
        """``items``, with references replaced by the items of stored responses that they name.

        Raises:
            InvalidRequestError: there is no such item.
        """
        wanted = {item.id for item in items if isinstance(item, ItemReference)}
        found = self._find(wanted) if wanted else {}
        resolved = []
        for index, item in enumerate(items):
            if isinstance(item, ItemReference) and item.id not in found:
                param = f"input[{index}].id"
                raise InvalidRequestError(
                    f"{param}: no stored response has an item {item.id!r}; send the item itself "
                    "(responses are kept unless store is false, and lost when the server stops)",
                    param=param,
                )
            resolved.append(found[item.id] if isinstance(item, ItemReference) else item)
        return resolved

    def _find(self, ids: set[str]) -> dict[str, Item]:
        found: dict[str, Item] = {}
        for stored in reversed(self._stored.values()):
            found |= {item.id: item for item in stored.conversation if item.id in ids}
            if len(found) == len(ids):
                break
        return found

    @property
    def num_bytes(self) -> int:
        """Size of all stored responses, in bytes of JSON."""
        return sum(self._sizes.values())


def _num_bytes(response: ResponseReply, items: Sequence[Item]) -> int:
    return sum(len(model.model_dump_json().encode()) for model in (response, *items))
