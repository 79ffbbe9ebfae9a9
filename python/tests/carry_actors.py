"""Actors that look at what their messages carry."""

import asyncio
import contextvars
import logging

import histrio

TENANT: contextvars.ContextVar[str] = histrio.carry(contextvars.ContextVar("tenant", default="nobody"))
Seen = tuple[str, str]


class Looker(histrio.Actor):
    @histrio.method
    def look(self) -> Seen:
        logging.getLogger("looker").warning("looked")
        return TENANT.get(), self.ctx.traceparent

    @histrio.method
    def set(self, tenant: str) -> Seen:
        """For this message only."""
        TENANT.set(tenant)
        return self.look().result()


class AsyncLooker(histrio.Actor):
    @histrio.method
    async def look(self) -> Seen:
        return TENANT.get(), self.ctx.traceparent

    @histrio.method
    async def look_late(self) -> Seen:
        await asyncio.sleep(0.2)
        return await self.look()

    @histrio.method
    async def set(self, tenant: str) -> Seen:
        TENANT.set(tenant)
        return await self.look()


class Relay(histrio.Actor):
    def __init__(self, to: Looker) -> None:
        self.to = to
        self.heard: list[Seen] = []

    @histrio.method
    def look(self) -> Seen:
        return self.to.look().result()

    @histrio.method
    def look_late(self, to: AsyncLooker) -> Seen:
        return to.look_late().result()

    @histrio.method
    def look_as(self, tenant: str) -> Seen:
        token = TENANT.set(tenant)
        try:
            return self.to.look().result()
        finally:
            TENANT.reset(token)
