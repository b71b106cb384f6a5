"""Several processes on one port: who takes which call, and how a request finds it."""

from voicebot.workers.crew import Alone, Crew
from voicebot.workers.place import Place
from voicebot.workers.supervisor import supervise

__all__ = ["Alone", "Crew", "Place", "supervise"]
