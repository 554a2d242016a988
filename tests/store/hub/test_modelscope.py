import sys

import pytest

from glm3edge.store.hub.modelscope import ModelScope
from glm3edge.store.hub.names import HubName
from glm3edge_convert.errors import MissingLibraryError

NAME = HubName("modelscope", "ZhipuAI/chatglm3-6b", "master")


def test_without_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelscope", None)
    with pytest.raises(MissingLibraryError) as caught:
        ModelScope().listing(NAME)
    assert str(caught.value) == (
        "modelscope is needed to pull modelscope:ZhipuAI/chatglm3-6b: run pip install modelscope"
    )
