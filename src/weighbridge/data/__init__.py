"""From folders to training batches: decode, domains, transforms, pairs."""
