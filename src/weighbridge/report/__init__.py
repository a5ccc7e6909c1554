"""Reads finished folders; trains nothing."""
