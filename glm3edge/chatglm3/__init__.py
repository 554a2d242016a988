"""ChatGLM3's chat protocol: prompts, replies, tools and grammars. It needs no model."""
