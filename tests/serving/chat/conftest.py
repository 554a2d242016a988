"""A chat service over a scripted backend."""

import pytest

from glm3edge.engine.engine import Engine
from glm3edge.serving.chat.service import ChatService
from tests.support.fakes import FakeVocabulary


@pytest.fixture
def service(engine: Engine) -> ChatService:
    return ChatService(engine, FakeVocabulary(), model_id="fake")
