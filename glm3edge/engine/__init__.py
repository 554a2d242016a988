"""The machinery that turns prompts into tokens. It knows token ids and text, no protocol."""
