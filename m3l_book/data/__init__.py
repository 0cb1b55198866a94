"""From a source to a prepared corpus, and from its files to a `Corpus` (`prepared`)."""
