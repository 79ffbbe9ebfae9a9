"""The actors of other_node.py, in a file of their own: worker processes import it by name."""

import histrio
from callers import now
from work import Work


class Asked(histrio.Actor):
    def __init__(self):
        self.work = Work()

    @histrio.method
    def echo(self, value):
        return self.work.echo(value)


class Caller(histrio.Actor):
    @histrio.method
    def one_by_one(self, warm_up, count):
        """Seconds of each ask."""
        bound = self.ctx.lookup("asked", Asked).echo
        for _ in range(warm_up):
            bound(1).result()
        seconds = []
        for _ in range(count):
            started = now()
            bound(1).result()
            seconds.append(now() - started)
        return seconds
