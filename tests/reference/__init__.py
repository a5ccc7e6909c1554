"""Each method again in some twenty lines of plain PyTorch, written from its paper and importing nothing of weighbridge."""
