"""Large images cut into labelled patches."""
