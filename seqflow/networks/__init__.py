"""Networks that several domains share."""
