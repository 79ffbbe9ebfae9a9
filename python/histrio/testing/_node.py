"""The node's half: mailboxes, requests, monitors, links and timers. _supervision.py has its supervisors.

Everything happens in step(), one thing at a time, in the thread that calls it: what the worker and the program send waits in
`_inbox`. The seed decides which actor gets its next message.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from .. import _codec as codec
from .. import _errors as errors
from .. import _frames as frames
from .._call import Call
from .._frames import Frame
from ._clock import StepLoop, VirtualClock
from ._faults import Rule
from ._supervision import Actor, Message, Supervision
from ._worker import StepWorker, Wire

NODE = 1
SCRIPT = 1
UNFINISHED_MAX = 256


class Node:
    """One node with one worker, in this process."""

    def __init__(self, clock: VirtualClock, seed: int, to_script: Callable[[Frame], None]) -> None:
        self.clock = clock
        self.random = random.Random(seed)
        self.to_script = to_script
        self.loop = StepLoop(clock)
        self.worker = StepWorker(self, self.loop)
        self.worker.system, self.worker.node, self.worker.node_uid = "local", "local", NODE
        self.worker.takes_tracebacks = True
        self.script_wire = Wire(lambda frame: self._inbox.append((True, frame)))
        self._inbox: deque[tuple[bool, Frame]] = deque()
        self._requests: dict[tuple[bool, int], Message] = {}
        self._monitors: dict[tuple[bool, int, int], Actor] = {}  # (of the script?, slot, number)
        self._lasting: set[tuple[bool, int, int]] = set()  # of these, over restarts
        self._numbers = 0
        self.rules: list[Rule] = []
        self.supervision = Supervision(self)

    def from_worker(self, frame: Frame) -> None:
        self._inbox.append((False, frame))

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    # ---- steps ----

    def step(self) -> bool:
        """Does one thing; False: nothing is to be done before time passes."""
        if self._inbox:
            self._receive(*self._inbox.popleft())
        elif self.clock.run_due() or self.worker.run_one():
            pass
        elif not self.loop.is_stepping and self.loop.has_work():
            self.loop.step()
        else:
            ready = [actor for actor in self.supervision.actors.values() if actor.can_take]
            if not ready:
                return False
            self._deliver(self.random.choice(ready))
        return True

    def settle(self) -> None:
        """Until nothing is to be done before time passes."""
        while self.step():
            pass

    def settle_inbox(self) -> None:
        """What was sent is in its mailbox; nothing is executed."""
        while self._inbox:
            self._receive(*self._inbox.popleft())

    def advance(self, seconds: float) -> None:
        """Lets time pass, and does what comes up meanwhile."""
        end = self.clock.now + seconds
        self.settle()
        while (due := self.clock.next_due()) is not None and due <= end:
            self.clock.now = max(self.clock.now, due)
            self.settle()
        self.clock.now = end

    def jump(self) -> bool:
        """To the next moment at which something happens."""
        due = self.clock.next_due()
        if due is None:
            return False
        self.clock.now = max(self.clock.now, due)
        return True

    def wait(self, call: Call[Any], seconds: float | None) -> bool:
        """Goes on until a call is done. Nobody else could let time pass, so it does."""
        end = None if seconds is None else self.clock.now + seconds
        while not call.done():
            if self.step():
                continue
            due = self.clock.next_due()
            if end is not None and (due is None or due > end):
                self.clock.now = end
                return False
            if not self.jump():
                raise RuntimeError("all actors wait, and nothing will ever come")
        return True

    # ---- what actors and the program send ----

    def _receive(self, of_script: bool, frame: Frame) -> None:
        kind = frame.kind
        if kind in (frames.REPLY, frames.ERROR, frames.DONE, frames.FAILED):
            if not of_script:
                self._ended(frame)
        elif kind in (frames.TELL, frames.ASK):
            self._send(of_script, frame)
        elif kind == frames.SPAWN:
            self._spawn(of_script, frame)
        elif kind == frames.CANCEL:
            self._cancel(of_script, frame.number)
        elif kind == frames.MONITOR:
            self._monitor(of_script, frame)
        elif kind == frames.DEMONITOR:
            self._forget((of_script, frame.actor, frame.number))
        elif kind == frames.EXIT:
            self._exit(frame)
        elif kind == frames.SNAPSHOT:
            actor = self.supervision.actors.get(frame.actor)
            if actor is not None:
                actor.snapshot = frame.payload
        elif kind == frames.TRAP:
            actor = self.supervision.actors.get(frame.actor)
            if actor is not None:
                actor.traps = bool(frame.code)
        elif kind in (frames.LINK, frames.UNLINK):
            self._link(of_script, frame)
        elif kind == frames.TIMER_START:
            self._start_timer(frame)
        elif kind == frames.TIMER_CANCEL:
            actor = self.supervision.actors.get(frame.actor)
            timer = None if actor is None else actor.timers.pop(frame.number, None)
            if timer is not None:
                timer.cancel()

    def _find(self, frame: Frame) -> Actor | None:
        if frame.name:
            return self.supervision.names.get(frame.name)
        return self.supervision.by_id(frame.id)

    def _send(self, of_script: bool, frame: Frame) -> None:
        target = self._find(frame)
        message = Message(frame.kind, frame.method, frame.payload, of_script, frame.number, frame.actor)
        if frame.kind == frames.ASK:
            self._requests[of_script, frame.number] = message
            if frame.timeout_ms:
                message.deadline = self.clock.now + frame.timeout_ms / 1000
                message.timer = self.clock.after(frame.timeout_ms / 1000, lambda: self._expired(message))
        if target is None:
            self.answer_error(message, errors.NOT_FOUND, f"no actor {frame.name or frame.id}")
            self.supervision.tell("dead letter", frame.name, frame.method)
            return
        self.post(target, message)

    def post(self, target: Actor, message: Message) -> None:
        """A message comes to a mailbox, unless a rule or the mailbox's own policy has something against it."""
        message.target = target
        for rule in self.rules:
            if rule.takes(target.path, target.id, message.method):
                self.supervision.tell(rule.action, target.label, message.method)
                if rule.action == "drop":
                    return
                if rule.action == "delay":
                    self.clock.after(rule.seconds, lambda: self._enqueue(target, message))
                    return
                if rule.action == "duplicate":
                    self._enqueue(target, message.copy())
                if rule.action == "crash":
                    message.crash = rule.signal
        self._enqueue(target, message)

    def _enqueue(self, target: Actor, message: Message) -> None:
        target = self.supervision.names.get(target.path, target) if target.path else target
        if target.is_over:
            self.answer_error(message, errors.NOT_FOUND, f"{target.label} has ended")
            return
        capacity, overflow = target.mailbox
        if capacity and len(target.messages) >= capacity and overflow != "Wait":
            if overflow == "DropOldest":
                self.answer_error(target.messages.popleft(), errors.MAILBOX_FULL, f"{target.label}: dropped by a newer one")
            else:
                code = errors.MAILBOX_FULL
                self.answer_error(message, code, f"{target.label}: {capacity} messages wait")
                return
        message.target = target
        target.messages.append(message)

    # ---- deliveries ----

    def _deliver(self, actor: Actor) -> None:
        message = actor.messages.popleft()
        if message.is_answered:
            return
        self.supervision.tell("deliver", actor.label, message.method)
        if message.crash:
            self.answer_error(message, errors.CRASHED, f"SIG{message.crash} in {message.method}")
            self.crash(actor, message.crash, f" in {message.method}", executing=True)
            return
        left = 0 if message.deadline is None else max(1, round(1000 * (message.deadline - self.clock.now)))
        self.hand(actor, message, left)

    def hand(self, actor: Actor, message: Message, timeout_ms: int = 0, id: int = 0) -> None:
        """To the worker, as a delivery."""
        message.delivery = self.number()
        actor.unfinished[message.delivery] = message
        name, node, sender = "", 0, 0
        if not message.of_script and message.sender in self.supervision.actors:
            sending = self.supervision.actors[message.sender]
            name, node, sender = sending.path, NODE if not sending.path else 0, sending.id if not sending.path else 0
        self.worker.take(Frame(message.kind, 0, actor.slot, message.method, message.delivery, timeout_ms, name, node, id or sender,
                               message.payload))

    def give_snapshot(self, actor: Actor, snapshot: bytes) -> None:
        self.worker.take(Frame(frames.SNAPSHOT, 0, actor.slot, "", 0, 0, "", 0, 0, snapshot))

    def _ended(self, frame: Frame) -> None:
        """REPLY, ERROR, DONE, FAILED."""
        actor = self.supervision.actors.get(frame.actor)
        if actor is None:
            return
        message = actor.unfinished.pop(frame.number, None)
        text = frame.payload.decode("utf-8", "replace") if frame.kind in (frames.ERROR, frames.FAILED) else ""
        if frame.kind == frames.FAILED:
            text, _, actor.traceback = text.partition("\n")
            if message is not None and message.kind == frames.ASK:
                self.answer_error(message, errors.CRASHED, text)
            self.put_back(actor, all_of_them=True)
            self.supervision.ended(actor, "normal" if frame.code == 1 else text, message)
        elif message is None:
            return
        elif frame.kind == frames.DONE:
            if message.kind == frames.ASK:
                self.answer_error(message, errors.TIMEOUT, "its time was over before it began")
            self.supervision.done(actor, message)
        else:
            self._answer(message, frame.kind, frame.code, frame.payload)

    def put_back(self, actor: Actor, all_of_them: bool = False) -> None:
        """What was delivered and has not begun goes to the front of the mailbox again; what has begun is answered."""
        cell = self.worker.cells.get(actor.slot)
        begun = set() if cell is None or all_of_them else {one.number for one in cell.active or ()}
        waiting = []
        for number, message in sorted(actor.unfinished.items()):
            if message.kind not in (frames.TELL, frames.ASK):
                continue
            if number in begun:
                self.answer_error(message, errors.CRASHED, f"{actor.label} ended")
            else:
                waiting.append(message)
        actor.unfinished.clear()
        actor.messages.extendleft(reversed(waiting))

    def crash(self, actor: Actor, signal: str, where: str = "", executing: bool = False) -> None:
        """The process of an actor dies: so do those who share it."""
        reason = f"SIG{signal}{where}"
        for one in self.supervision.sharing(actor):
            cell = self.worker.cells.get(one.slot)
            is_charged = one is actor and (executing or not (cell and cell.active)) or bool(cell and cell.active)
            self.put_back(one)
            self.worker.take(Frame(frames.DROP, 0, one.slot, "", 0, 0, "", 0, 0, b""))
            self.supervision.ended(one, reason if is_charged else f"host process ended: {reason}", None, is_charged)

    # ---- requests ----

    def _answer(self, message: Message, kind: int, code: int, payload: bytes) -> None:
        if message.kind != frames.ASK or message.is_answered:
            return
        message.is_answered = True
        if message.timer is not None:
            message.timer.cancel()
        if self._requests.pop((message.of_script, message.number), None) is None:
            return
        frame = Frame(kind, code, message.sender, "", message.number, 0, "", 0, 0, payload)
        if message.of_script:
            self.to_script(frame)
        else:
            self.worker.take(frame)

    def answer_error(self, message: Message, code: int, text: str) -> None:
        self._answer(message, frames.ERROR, code, text.encode())

    def reply(self, message: Message, value: Any) -> None:
        self._answer(message, frames.REPLY, 0, codec.pack(value, "an answer"))

    def _expired(self, message: Message) -> None:
        self._withdraw(message)
        self.answer_error(message, errors.TIMEOUT, "no answer in time")

    def _cancel(self, of_script: bool, number: int) -> None:
        message = self._requests.pop((of_script, number), None)
        if message is not None:
            message.is_answered = True
            self._withdraw(message)

    def _withdraw(self, message: Message) -> None:
        """Nobody waits for it any more."""
        target = message.target
        if target is not None and message.delivery in target.unfinished:
            self.worker.take(Frame(frames.CANCEL, 0, 0, "", message.delivery, 0, "", 0, 0, b""))

    # ---- spawn, monitors, links, exits, timers ----

    def _spawn(self, of_script: bool, frame: Frame) -> None:
        message = Message(frames.ASK, "", b"", of_script, frame.number, frame.actor)
        self._requests[of_script, frame.number] = message
        parent = self.supervision.script if of_script else self.supervision.actors.get(frame.actor)
        if parent is not None:
            self.supervision.spawn(parent, codec.unpack(frame.payload), message)

    def _monitor(self, of_script: bool, frame: Frame) -> None:
        target = self._find(frame)
        key = of_script, frame.actor, frame.number
        if target is None or target.is_over:
            self._fire(key, b"noproc")
        else:
            self._monitors[key] = target
            if frame.code == frames.MONITOR_LASTS:
                self._lasting.add(key)
                if target.state == "over" and target.cause is None:
                    target.cause = "", ""  # nobody was there to be told

    def _forget(self, key: tuple[bool, int, int]) -> None:
        self._monitors.pop(key, None)
        self._lasting.discard(key)

    def _fire(self, key: tuple[bool, int, int], payload: bytes, code: int = 0) -> None:
        of_script, slot, number = key
        if of_script:
            self.to_script(Frame(frames.DOWN, code, slot, "", self.number(), 0, "", 0, number, payload))
        elif slot in self.supervision.actors:
            self.hand(self.supervision.actors[slot], Message(frames.DOWN, "", payload), id=number)

    def _tell_news(self, actor: Actor, code: int) -> None:
        """To those who watch the actor over its restarts."""
        reason, trace = actor.cause or ("", "")
        told = {"incarnation": actor.incarnation, "reason": reason, "traceback": trace}
        for key in [key for key, target in self._monitors.items() if target is actor and key in self._lasting]:
            self._fire(key, codec.pack(told, "what happened"), code)

    def restarted(self, actor: Actor) -> None:
        """An actor runs that ran before."""
        if actor.cause is not None:
            self._tell_news(actor, frames.DOWN_RESTARTED)
        actor.cause = None

    def gone(self, actor: Actor) -> None:
        """Nobody starts it again."""
        for key, target in list(self._monitors.items()):
            if target is actor and key in self._lasting:
                self._forget(key)
                self._fire(key, b"noproc")
        actor.cause = None

    def _link(self, of_script: bool, frame: Frame) -> None:
        own = self.supervision.script if of_script else self.supervision.actors.get(frame.actor)
        other = self._find(frame)
        if own is None or other is None:
            return
        if frame.kind == frames.LINK:
            own.links.add(other)
            other.links.add(own)
        else:
            own.links.discard(other)
            other.links.discard(own)

    def over(self, actor: Actor, reason: str) -> None:
        """An incarnation has ended: those who look at it are told."""
        for timer in actor.timers.values():
            timer.cancel()
        actor.timers.clear()
        for (of_script, number), message in list(self._requests.items()):
            if not of_script and message.sender == actor.slot and message.target is not None:
                self._cancel(of_script, number)
        trace, actor.traceback = actor.traceback, ""
        if any(target is actor and key in self._lasting for key, target in self._monitors.items()):
            actor.cause = reason, trace
        self._tell_news(actor, frames.DOWN_ENDED)
        for key, target in list(self._monitors.items()):
            if target is actor and key not in self._lasting:
                self._forget(key)
                self._fire(key, reason.encode())
        links, actor.links = actor.links, set()
        for other in links:
            other.links.discard(actor)
            self._signal(other, actor, reason)

    def _exit(self, frame: Frame) -> None:
        target = self._find(frame)
        sender = self.supervision.actors.get(frame.actor, self.supervision.script)
        if target is not None:
            self._signal(target, sender, frame.payload.decode())

    def _signal(self, target: Actor, sender: Actor, reason: str) -> None:
        if target is self.supervision.script or target.is_over:
            return
        if reason != "kill" and target.traps:
            self.hand(target, Message(frames.EXIT, "", reason.encode()))
        elif reason == "kill":
            self.supervision.drop(target, "killed")
            self.supervision.told_to_end(target, "killed")
        elif reason != "normal":
            self.supervision.stop(target, reason, lambda: self.supervision.told_to_end(target, reason))

    def _start_timer(self, frame: Frame) -> None:
        actor = self.supervision.actors.get(frame.actor)
        if actor is None:
            return

        def due() -> None:
            if frame.id and frame.number in actor.timers:
                actor.timers[frame.number] = self.clock.after(frame.id / 1000, due)
            self.hand(actor, Message(frames.TIMER, frame.method, b""), id=frame.number)

        actor.timers[frame.number] = self.clock.after(frame.timeout_ms / 1000, due)
