"""What stands where a call was: those who still have something for it tell nobody, and keep nothing of it alive."""


async def nobody(_event: object) -> None:
    """Hear what the call would have heard."""


def nothing(_thing: object) -> None:
    """Do what the call would have done."""
