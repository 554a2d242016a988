"""The join for OpenAI's responses. All here is form: ``glm3edge.completion`` makes the replies.

The forms are those of https://platform.openai.com/docs/api-reference/responses.
"""
