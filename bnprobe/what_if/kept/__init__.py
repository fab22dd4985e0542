"""Tapes in a file: numbers, words and plain arrays. Reading one calls nothing but operations and classes of torch's own."""
