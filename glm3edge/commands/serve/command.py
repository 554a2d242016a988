"""The command line of ``glm3edge serve``."""

from glm3edge import __version__
from glm3edge.commands.logs import announce, start_logging
from glm3edge.commands.serve.options import ServeOptions
from glm3edge.commands.signature import takes
from glm3edge.config.sources import find_given


@takes(ServeOptions)
def serve_command(options: ServeOptions) -> None:
    """Serve a model on OpenAI's routes.

    Every option can be set by a variable, GLM3EDGE_CTX_SIZE for --ctx-size, or in the configuration
    file: see glm3edge config.
    """
    start_logging(options.log_level, as_json=options.json_logs)
    model = find_given({"model": options.model}).get("model")
    announce(
        "start", f"glm3edge {__version__}: {model.value if model else 'the built-in demo model'}"
    )
    # Imports the server, which takes most of a second: the line above comes first.
    from glm3edge.commands.serve.run import serve  # noqa: PLC0415

    settings = options.settings()
    serve(settings.model, settings)
