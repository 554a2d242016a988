"""``python -m glm3edge_convert SOURCE -o OUTPUT.gguf``."""

from glm3edge_convert.cli import main

if __name__ == "__main__":
    main()
