"""Services that turn a request into a reply. They know no HTTP."""
