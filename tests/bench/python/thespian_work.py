"""The work as an actor of Thespian, in a module that its processes can import."""

from thespian.actors import Actor
from work import METHODS, Work


class ThespianWork(Actor):
    def receiveMessage(self, message, sender):
        if isinstance(message, tuple) and message[0] in METHODS:
            if not hasattr(self, "work"):
                self.work = Work()
            self.send(sender, getattr(self.work, message[0])(*message[1]))
