"""What a class is as a behavior: its messages, timers and options, whether it was decorated or not."""

from __future__ import annotations

import inspect
import weakref
from typing import Any

from ._errors import BadArgument
from ._method import Message, _Descriptor, without_self
from ._options import ActorOptions, Strategy

HOOKS = frozenset({"on_start", "on_stop", "on_down", "on_exit", "snapshot", "restore"})


class NoSuchMethod(BadArgument, AttributeError):
    """The actor's class has no message of this name."""


class Behavior:
    """A class with what the host of its actors must know."""

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.name = behavior_name(cls)
        self.options: ActorOptions = cls.__dict__.get("__histrio_options__", None) or _inherited(cls)
        self.strategy: Strategy | None = getattr(cls, "__histrio_strategy__", None)
        self.children: dict[str, Any] = dict(getattr(cls, "__histrio_children__", {}))
        self.messages = _messages(cls)
        self.timers = [message for message in self.messages.values() if message.every is not None]
        self.keeps = _keeps(cls, self.messages)
        self.is_async = any(one.is_async for one in self.messages.values()) or any(
            inspect.iscoroutinefunction(getattr(cls, hook, None)) for hook in HOOKS
        )

    def message(self, name: str) -> Message:
        """The message of that name, or NoSuchMethod with what might have been meant."""
        found = self.messages.get(name)
        if found is None:
            raise NoSuchMethod(self.unknown(name))
        return found

    def unknown(self, name: str) -> str:
        """Why there is no such message."""
        text = f'{self.cls.__name__} has no method "{name}"'
        if inspect.isfunction(getattr(self.cls, name, None)):
            return f"{text} that is a message: decorate it with @histrio.method"
        import difflib

        close = difflib.get_close_matches(name, self.messages, 1)
        return f'{text}; did you mean "{close[0]}"?' if close else text


def _keeps(cls: type, messages: dict[str, Message]) -> bool:
    """Whether actors of the class hand their state to the next incarnation."""
    hooks = [name for name in ("snapshot", "restore") if name not in messages and callable(getattr(cls, name, None))]
    if len(hooks) == 1:
        raise TypeError(f"{cls.__name__} has one of snapshot() and restore() only")
    if any(inspect.iscoroutinefunction(getattr(cls, name)) for name in hooks):
        raise TypeError(f"{cls.__name__}: snapshot() and restore() are plain functions: the state must not change meanwhile")
    return bool(hooks)


def behavior_name(cls: type) -> str:
    """The manifest's name of a class: "bank:Counter"."""
    return f"{cls.__module__}:{cls.__qualname__}"


_known: weakref.WeakKeyDictionary[type, Behavior] = weakref.WeakKeyDictionary()


def behavior_of(cls: type) -> Behavior:
    """The behavior of a class; made once."""
    found = _known.get(cls)
    if found is None:
        if not isinstance(cls, type):
            raise TypeError(f"{cls!r} is not a class")
        found = _known[cls] = Behavior(cls)
    return found


def _inherited(cls: type) -> ActorOptions:
    options = getattr(cls, "__histrio_options__", None)
    return options if isinstance(options, ActorOptions) else ActorOptions()


def _messages(cls: type) -> dict[str, Message]:
    """The decorated methods; of a class that has none, and is not an Actor, all public ones."""
    decorated: dict[str, Message] = {}
    plain: dict[str, Message] = {}
    for name in dir(cls):
        if name.startswith("__"):
            continue
        attribute = inspect.getattr_static(cls, name)
        if isinstance(attribute, _Descriptor):
            decorated[name] = attribute.message
        elif isinstance(getattr(attribute, "__func__", None) or getattr(attribute, "fget", None), _Descriptor):
            raise TypeError(f"{cls.__name__}.{name}: {without_self(attribute)} cannot be a message: take that decorator away")
        elif inspect.isfunction(attribute) and not name.startswith("_") and name not in HOOKS:
            plain[name] = Message(name, attribute)
    if decorated or getattr(cls, "__histrio_actor__", False):
        return decorated
    return plain
