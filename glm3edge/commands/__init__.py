"""The commands: what a user runs, and the only place that knows Typer."""
