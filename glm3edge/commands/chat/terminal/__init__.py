"""Terminal input and output: line editing, Markdown, wrapping, translations."""
