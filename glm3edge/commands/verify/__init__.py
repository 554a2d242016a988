"""``glm3edge verify``: converted files compared with their original."""
