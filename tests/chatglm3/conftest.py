import pytest

from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model


@pytest.fixture(scope="session")
def guide(tiny_model: Model) -> Guide:
    return Guide(tiny_model, end_ids=SpecialTokens.of(tiny_model).stop_ids)
