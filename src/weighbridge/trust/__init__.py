"""Whether a model may be trusted on photos without labels: scores, probabilities, and one verdict. Arrays alone."""
