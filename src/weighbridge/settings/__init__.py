"""Every setting, and what is built of them. The only folder that knows every method by name."""
