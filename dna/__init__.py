"""DNA: sequences with a class, generated, steered and judged."""
