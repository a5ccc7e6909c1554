"""Labelling by hand: which photo comes next, what its label settles, and the page on which it is given."""
