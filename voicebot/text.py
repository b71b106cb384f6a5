"""Text as every socket, file and database takes it."""


def whole(text: str) -> str:
    """Return the text with its halves of characters (surrogates) replaced, which nothing takes that stores or sends text.

    JSON can spell them, and bytes that are no text are read as such where headers are read (PEP 383).
    """
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
