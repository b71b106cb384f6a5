"""The console: a page that shows the calls and acts on them, through the API alone."""

from voicebot.web.console.doors import ConsoleDoors

__all__ = ["ConsoleDoors"]
