"""``python -m glm3edge`` is the ``glm3edge`` command."""

from glm3edge.commands.app import main

main()
