"""Conversations in prose: many ways to ask, one reply to each; values copied from the context."""
