"""Adapters: each turns one kind of request into calls of the same few engine functions."""
