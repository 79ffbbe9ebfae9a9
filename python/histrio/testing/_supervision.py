"""The node's supervisors: who is started again after an end, by the rules of docs/supervision.md.

An actor keeps its record over restarts; a new incarnation has a new slot. Starting and stopping take several steps, so what comes
after them is a function: `then`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import _codec as codec
from .. import _errors as errors
from .. import _frames as frames
from .._frames import Frame
from ._trace import Entry, Trace

if TYPE_CHECKING:
    from ._clock import Timer
    from ._node import Node

Then = Callable[[str], None]  # with the reason why it failed; "" when it did not
DEFAULT_INTENSITY = {"strategy": "OneForOne", "restarts": 3, "period_ms": 5000}


class Message:
    """Something in a mailbox, or on its way to the worker."""

    def __init__(self, kind: int, method: str, payload: bytes, of_script: bool = False, number: int = 0, sender: int = 0) -> None:
        self.kind = kind
        self.method = method
        self.payload = payload
        self.of_script = of_script
        self.number = number
        self.sender = sender
        self.target: Actor | None = None
        self.deadline: float | None = None
        self.timer: Timer | None = None
        self.delivery = 0
        self.crash = ""
        self.is_answered = False

    def copy(self) -> Message:
        """The same once more; its answer goes nowhere."""
        return Message(self.kind, self.method, self.payload, self.of_script, -1, self.sender)


class Actor:
    """An actor or a supervisor, over all its incarnations."""

    def __init__(self, path: str, entry: dict[str, Any], parent: Actor | None) -> None:
        self.path = path
        self.label = path
        self.entry = entry
        self.parent = parent
        self.children: list[Actor] = []
        self.id = self.slot = 0
        self.incarnation = 0
        self.state = "over"  # starting, running, stopping, over
        self.then: Then | None = None
        self.messages: deque[Message] = deque()
        self.unfinished: dict[int, Message] = {}
        self.links: set[Actor] = set()
        self.timers: dict[int, Timer] = {}
        self.traps = False
        self.snapshot: bytes | None = None
        self.traceback = ""  # of what it failed by
        self.cause: tuple[str, str] | None = None  # why it ended, until who watches it is told that it goes on
        self.restarts: list[float] = []
        self.wait = 0.0  # before its last restart, in seconds
        self.due = 0.0  # when that restart was, or is
        self.is_waiting = False
        mailbox = entry.get("mailbox") or {}
        self.mailbox = mailbox.get("capacity", 0), mailbox.get("overflow", "Wait")
        self.keeps_mailbox = mailbox.get("on_restart", "Keep") == "Keep"

    @property
    def is_supervisor(self) -> bool:
        return "behavior" not in self.entry

    @property
    def is_over(self) -> bool:
        return self.state == "over" and self.parent is None

    @property
    def can_take(self) -> bool:
        return self.state == "running" and bool(self.messages) and len(self.unfinished) < 256

    @property
    def intensity(self) -> dict[str, Any]:
        return {**DEFAULT_INTENSITY, **self.entry.get("supervisor", {})}


class Supervision:
    def __init__(self, node: Node) -> None:
        self.node = node
        self.trace = Trace()
        self.actors: dict[int, Actor] = {}  # by slot
        self.names: dict[str, Actor] = {}
        self.script = Actor("local", {}, None)
        self.script.state = "running"
        self._slots = 1
        self._invented = 0

    def tell(self, what: str, actor: str, text: str = "") -> None:
        self.trace.append(Entry(self.node.clock.now, what, actor, text))

    def by_id(self, id: int) -> Actor | None:
        return next((actor for actor in self.actors.values() if actor.id == id), None)

    # ---- spawn ----

    def spawn(self, parent: Actor, request: dict[str, Any], asked: Message) -> None:
        name = request.get("name")
        if name is None:
            self._invented += 1
            name = f"actor-{self._invented}"
        path = f"{parent.path}/{name}"
        if path in self.names:
            self.node.answer_error(asked, errors.BAD_ARGUMENT, f"{path} exists")
            return
        names = [entry["name"] for entry in request.get("children") or []]
        twice = next((one for one in names if names.count(one) > 1), None)
        if twice is not None:
            self.node.answer_error(asked, errors.APPLICATION, f'two children are named "{twice}"')
            return
        root = Actor(path, request["root"], parent)
        self._add_children(root, request.get("children") or [])
        parent.children.append(root)
        if request.get("link"):
            root.links.add(parent)
            parent.links.add(root)

        def started(why: str) -> None:
            if why:
                self._remove(root)
                self.node.answer_error(asked, errors.APPLICATION, f"start failed: {why}")
            else:
                self.node.reply(asked, {"path": path, "ref": [1, root.id]})

        self.start(root, started)

    @staticmethod
    def _add_children(root: Actor, entries: list[dict[str, Any]]) -> None:
        made = {"": root}
        for entry in entries:
            parent = made[entry.get("under", "")]
            child = made[entry["name"]] = Actor(f"{parent.path}/{entry['name']}", entry, parent)
            parent.children.append(child)

    # ---- starting ----

    def start(self, actor: Actor, then: Then) -> None:
        self._slots += 1
        actor.id = actor.slot = self._slots
        actor.incarnation += 1
        actor.state, actor.then = "starting", then
        actor.is_waiting = False
        self.names[actor.path] = actor
        self.tell("start" if actor.incarnation == 1 else "restart", actor.label)
        if actor.is_supervisor:
            actor.restarts = []
            self._start_all(list(actor.children), lambda why: self._children_started(actor, why))
            return
        self.actors[actor.slot] = actor
        told = {
            "behavior": actor.entry["behavior"]["python"], "arguments": actor.entry["arguments"], "path": actor.path, "unit": "local",
            "epoch": "0", "incarnation": actor.incarnation,
        }
        if actor.snapshot is not None:
            self.node.give_snapshot(actor, actor.snapshot)
        self.node.hand(actor, Message(frames.START, "", codec.pack(told, "START")), id=actor.id)

    def _start_all(self, actors: list[Actor], then: Then) -> None:
        if not actors:
            then("")
            return

        def started(why: str) -> None:
            if why:
                then(f"{actors[0].label}: {why}")
            else:
                self._start_all(actors[1:], then)

        self.start(actors[0], started)

    def _children_started(self, supervisor: Actor, why: str) -> None:
        if not why:
            self._started(supervisor, "")
            return
        for child in reversed(supervisor.children):
            self.drop(child, "shutdown")
            self.node.gone(child)
        supervisor.state = "over"
        self._started(supervisor, why)

    def _started(self, actor: Actor, why: str) -> None:
        actor.state = "over" if why else "running"
        if not why:
            self.node.restarted(actor)
        then, actor.then = actor.then, None
        if then is not None:
            then(why)

    def done(self, actor: Actor, message: Message) -> None:
        """A START or STOP succeeded."""
        if message.kind == frames.START:
            self._started(actor, "")
        elif message.kind == frames.STOP:
            self._stopped(actor, message.payload.decode())

    # ---- stopping ----

    def stop(self, actor: Actor, reason: str, then: Callable[[], None]) -> None:
        """In good order: what is below it first, in reverse."""
        if actor.state != "running":
            self.drop(actor, reason)
            then()
            return
        actor.state, actor.then = "stopping", lambda why: then()
        self._stop_all(actor.children[::-1], lambda: self._stop_itself(actor, reason))

    def _stop_itself(self, actor: Actor, reason: str) -> None:
        if actor.is_supervisor:
            self._stopped(actor, reason)
            return
        incarnation = actor.incarnation
        self.node.hand(actor, Message(frames.STOP, "", reason.encode()))
        shutdown = actor.entry.get("shutdown_ms", 5000) / 1000

        def kill() -> None:
            if actor.state == "stopping" and actor.incarnation == incarnation:
                self.node.worker.take(Frame(frames.DROP, 0, actor.slot, "", 0, 0, "", 0, 0, b""))
                self._stopped(actor, "killed")

        self.node.clock.after(shutdown, kill)

    def _stop_all(self, actors: list[Actor], then: Callable[[], None]) -> None:
        if actors:
            self.stop(actors[0], "shutdown", lambda: self._stop_all(actors[1:], then))
        else:
            then()

    def _stopped(self, actor: Actor, reason: str) -> None:
        self.node.put_back(actor)
        self._over(actor, reason)
        then, actor.then = actor.then, None
        if then is not None:
            then(reason)

    def drop(self, actor: Actor, reason: str) -> None:
        """At once, with all below it."""
        for child in reversed(actor.children):
            self.drop(child, reason)
        actor.is_waiting = False
        if actor.state == "over":
            return
        if not actor.is_supervisor:
            self.node.put_back(actor)
            self.node.worker.take(Frame(frames.DROP, 0, actor.slot, "", 0, 0, "", 0, 0, b""))
        self._over(actor, reason)

    def _over(self, actor: Actor, reason: str) -> None:
        """The incarnation has ended, in whatever way."""
        actor.state = "over"
        actor.traps = False
        self.actors.pop(actor.slot, None)
        self.tell("end", actor.label, reason)
        self.node.over(actor, reason)
        for child in actor.children if actor.is_supervisor else ():
            self.node.gone(child)
        if not actor.is_supervisor:  # what it spawned ends with it
            for child in list(reversed(actor.children)):
                self.drop(child, "shutdown")
                self._remove(child)

    def _remove(self, actor: Actor) -> None:
        """For good: nobody starts it again."""
        actor.is_waiting = False
        self.node.gone(actor)
        if actor.parent is not None and not actor.parent.is_supervisor and actor in actor.parent.children:
            actor.parent.children.remove(actor)
        for child in actor.children:
            self._remove(child)
        if self.names.get(actor.path) is actor:
            del self.names[actor.path]
        while actor.messages:
            self.node.answer_error(actor.messages.popleft(), errors.NOT_FOUND, f"{actor.label} has ended")

    # ---- ends ----

    def ended(self, actor: Actor, reason: str, message: Message | None, is_charged: bool = True) -> None:
        """An actor ended by itself, or its process died."""
        state, then = actor.state, actor.then
        self._over(actor, reason)
        if state in ("starting", "stopping"):
            actor.then = None
            if then is not None:
                then(reason)
            return
        self.decide(actor, reason, is_charged)

    def told_to_end(self, actor: Actor, reason: str) -> None:
        """By an exit signal. A spawned actor stays ended: whoever spawned it wanted it so."""
        if actor.parent is None or not actor.parent.is_supervisor or actor.parent is self.script:
            self._remove(actor)
        else:
            self.decide(actor, reason)

    def decide(self, actor: Actor, reason: str, is_charged: bool = True) -> None:
        """Whether and with whom it is started again."""
        restart = actor.entry.get("restart", "Permanent")
        is_normal = reason in ("normal", "shutdown") or reason.startswith("shutdown:")
        parent = actor.parent
        if restart == "Temporary" or (restart == "Transient" and is_normal) or parent is None:
            self._remove(actor)
            return
        holder = parent if parent.is_supervisor and parent is not self.script else actor
        if is_charged and not self._is_tolerated(holder):
            self._give_up(holder, actor, reason)
            return
        self._restart_with(holder, actor, self._next_wait(holder, actor) if is_charged else 0.0)

    def _next_wait(self, holder: Actor, actor: Actor) -> float:
        now, rule = self.node.clock.now, holder.intensity
        initial, longest = (rule.get(f"backoff_{one}_ms", 0) / 1000 for one in ("initial", "max"))
        is_series = actor.wait > 0 and now - actor.due < rule["period_ms"] / 1000
        actor.wait = min(2 * actor.wait, longest) if is_series else initial
        actor.due = now + actor.wait
        return actor.wait

    def _is_tolerated(self, holder: Actor) -> bool:
        now, rule = self.node.clock.now, holder.intensity
        holder.restarts = [time for time in holder.restarts if time >= now - rule["period_ms"] / 1000]
        holder.restarts.append(now)
        return len(holder.restarts) <= int(rule["restarts"])

    def _give_up(self, holder: Actor, actor: Actor, reason: str) -> None:
        self.tell("give up", holder.label, reason)
        if holder is actor:
            self._remove(actor)
            return
        is_below = holder.parent is not None and holder.parent.is_supervisor and holder.parent is not self.script
        why = "shutdown" if is_below else f"too many restarts: {actor.label}: {reason}"
        self._remove(actor)

        def alone() -> None:
            self._over(holder, why)
            self.decide(holder, why)

        self._stop_all([child for child in reversed(holder.children) if child.state != "over"], alone)

    def _restart_with(self, holder: Actor, actor: Actor, wait: float) -> None:
        group = [actor]
        if holder is not actor:
            at = holder.children.index(actor)
            rest = {"OneForAll": holder.children, "RestForOne": holder.children[at:]}
            group = list(rest.get(holder.intensity["strategy"], group))
        for one in group:
            one.is_waiting = one is actor

        def start() -> None:
            if actor.is_waiting and self.node.clock.now >= actor.due:
                self._start_again(group)

        def stopped() -> None:
            if wait:
                self.node.clock.after(wait, start)
            else:
                self._start_again(group)

        self._stop_all([one for one in reversed(group) if one is not actor and one.state != "over"], stopped)

    def _start_again(self, group: list[Actor]) -> None:
        for one in group:
            if not one.keeps_mailbox:
                while one.messages:
                    self.node.answer_error(one.messages.popleft(), errors.CRASHED, f"{one.label} was restarted")
        failed = [""]

        def started(why: str) -> None:
            if why:
                culprit = next(one for one in group if one.state == "over")
                self.decide(culprit, failed[0] or why)

        self._start_all(group, started)

    def sharing(self, actor: Actor) -> list[Actor]:
        """Those in the same process."""
        isolation = actor.entry.get("isolation", "Shared")
        if isolation == "Process":
            return [actor]
        alive = [one for one in self.actors.values() if one.entry.get("isolation", "Shared") == isolation]
        if isolation == "Group":
            root = self._root(actor)
            alive = [one for one in alive if self._root(one) is root]
        return alive

    def _root(self, actor: Actor) -> Actor:
        while actor.parent is not None and actor.parent is not self.script:
            actor = actor.parent
        return actor
