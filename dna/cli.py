"""``seqflow dna``: to be written."""
