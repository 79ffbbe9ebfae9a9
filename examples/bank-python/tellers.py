"""Tellers of the bank in Python. Their ledger and their printers are in C (examples/bank/bank.c)."""

import histrio


class Counter(histrio.Actor):
    """Takes deposits; tells the printer beside it, and the ledger, which may be on another node."""

    def __init__(self) -> None:
        self.total = 0
        self.printer = self.ctx.lookup("../printer")
        self.ledger = self.ctx.lookup("ledger")

    @histrio.method
    def deposit(self, amount: int) -> int:
        if amount <= 0:
            raise histrio.BadArgument("amount: give a whole number above 0")
        self.total += amount
        self.printer.print.tell(amount=amount)
        self.ledger.record.tell(amount=amount)
        return self.total

    @histrio.method
    def fail(self) -> None:
        raise RuntimeError("asked to fail")

    @histrio.method
    def smash(self) -> None:
        """A wild pointer, as a bug in C code would have it. It ends this actor's process and no other."""
        import ctypes

        ctypes.string_at(0)
