"""One change as a transaction: rehearsed apart, explained, committed by a journal, undone by it."""
