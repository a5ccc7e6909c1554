"""Each method again in some twenty lines of plain PyTorch, from its paper, importing nothing of weighbridge."""
