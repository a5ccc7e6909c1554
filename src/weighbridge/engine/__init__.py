"""The training loop. It knows what a method is, never which one."""
