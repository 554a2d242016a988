"""The command line of ``glm3edge serve``."""

from glm3edge import __version__
from glm3edge.commands.logs import announce, start_logging
from glm3edge.commands.serve.options import ServeOptions
from glm3edge.commands.signature import takes


@takes(ServeOptions)
def serve_command(options: ServeOptions) -> None:
    """Serve a model on OpenAI's routes.

    Every option can be set by an environment variable too: GLM3EDGE_CTX_SIZE for --ctx-size.
    """
    start_logging(options.log_level, as_json=options.json_logs)
    announce("start", f"glm3edge {__version__}: {options.model or 'the built-in demo model'}")
    # Imports the server, which takes most of a second: the line above comes first.
    from glm3edge.commands.serve.run import serve  # noqa: PLC0415

    serve(options.model, options.settings())
