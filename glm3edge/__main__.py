"""``python -m glm3edge`` is the ``glm3edge`` command."""

from glm3edge.cli import main

main()
