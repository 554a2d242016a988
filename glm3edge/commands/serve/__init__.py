"""``glm3edge serve``: a model on OpenAI's routes."""
