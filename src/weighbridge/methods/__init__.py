"""One paper, one file. Start with `weighted_dann.py`."""
