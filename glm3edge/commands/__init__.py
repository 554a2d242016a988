"""Commands that a user can run; the only package that imports Typer."""
