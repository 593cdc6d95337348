"""Finding tasks: a language of filters, and filters that are kept."""
