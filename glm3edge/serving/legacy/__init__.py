"""Older forms of chat requests and replies: pure translation to today's form and back."""
