"""The join for Anthropic's messages. All here is form: ``glm3edge.completion`` makes replies.

The forms are those of https://docs.anthropic.com/en/api/messages.
"""
