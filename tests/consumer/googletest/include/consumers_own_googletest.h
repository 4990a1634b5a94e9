// Compiling this include proves that @com_google_googletest is the consumer's and not nearcall's.
