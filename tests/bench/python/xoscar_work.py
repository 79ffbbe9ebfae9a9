"""The work as an actor of xoscar, in a module that its processes can import."""

import xoscar
from work import Work


class XoscarWork(Work, xoscar.StatelessActor):
    def __init__(self):
        Work.__init__(self)
