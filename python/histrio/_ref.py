"""References to actors. A typed one has the methods of the actor's class, and is written as that class in annotations."""

from __future__ import annotations

from typing import Any, Callable

from ._behavior import Behavior, behavior_of
from ._method import Bound, Message, StreamBound
from ._options import Address
from ._runtime import Runtime, current_runtime


class ActorRef:
    """A reference to an actor. It can be sent in messages, pickled, and used from any thread.

    A named actor's reference finds the present incarnation, wherever it runs; an unnamed one's is dead once the actor ended.
    Attributes are the actor's methods. A reference without a class takes any method, and its arguments as plain values:
    that is how actors in C are asked.
    """

    __slots__ = ("_histrio_address", "_histrio_runtime", "__weakref__")
    _histrio_behavior: Behavior | None = None

    def __init__(self, address: Address, runtime: Runtime | None = None) -> None:
        self._histrio_address = address
        self._histrio_runtime = runtime

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        behavior = self._histrio_behavior
        if behavior is not None:
            if name in behavior.children:
                child = behavior.children[name]
                return child_ref(self, child.name, child.cls)
            return _bound(behavior.message(name))(self)
        return Bound(runtime_of(self), self._histrio_address, _any_message(name))

    def __dir__(self) -> list[str]:
        behavior = self._histrio_behavior
        return [] if behavior is None else sorted([*behavior.messages, *behavior.children])

    def __repr__(self) -> str:
        name = "ActorRef" if self._histrio_behavior is None else self._histrio_behavior.cls.__name__
        return f"<{name} at {self._histrio_address}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorRef) and other._histrio_address == self._histrio_address

    def __hash__(self) -> int:
        address = self._histrio_address
        return hash((address.path, address.node, address.id))

    def __reduce__(self) -> tuple[Any, ...]:
        address = self._histrio_address
        cls = None if self._histrio_behavior is None else self._histrio_behavior.cls
        if address.path:
            return _restore, (cls, address.path, 0, 0)
        return _restore, (cls, "", address.node, address.id)


def _bound(message: Message) -> Callable[[ActorRef], Any]:
    """The look-up of a method on a reference."""
    kind: Callable[..., Any] = StreamBound if message.is_stream else Bound

    def look_up(ref: ActorRef) -> Any:
        return kind(ref._histrio_runtime or runtime_of(ref), ref._histrio_address, message)

    return look_up


_classes: dict[type, type[ActorRef]] = {}
_messages: dict[str, Message] = {}


def make_ref(address: Address, cls: type | None, runtime: Runtime | None = None) -> Any:
    """A reference to an actor of a class (None: not known, perhaps not Python)."""
    if cls is None:
        return ActorRef(address, runtime)
    kind = _classes.get(cls)
    if kind is None:
        behavior = behavior_of(cls)
        members: dict[str, Any] = {"__slots__": (), "_histrio_behavior": behavior, "__doc__": cls.__doc__}
        members.update({name: property(_bound(message)) for name, message in behavior.messages.items()})
        kind = _classes[cls] = type(f"{cls.__name__}Ref", (ActorRef,), members)
    return kind(address, runtime)


def child_ref(parent: ActorRef, name: str, cls: type | None) -> Any:
    """A reference to a named actor below another."""
    path = parent._histrio_address.path
    if not path:
        raise AttributeError(f"{parent!r} has no name, so what is below it cannot be addressed")
    return make_ref(Address(f"{path}/{name}", python=cls is not None), cls, parent._histrio_runtime)


def address_of(ref: Any) -> Address:
    """The address behind a reference; TypeError for what is none."""
    if not isinstance(ref, ActorRef):
        raise TypeError(f"{ref!r} is not a reference to an actor")
    return ref._histrio_address


def runtime_of(ref: ActorRef) -> Runtime:
    runtime = ref._histrio_runtime
    if runtime is None:
        runtime = ref._histrio_runtime = current_runtime()
    return runtime


def _any_message(name: str) -> Message:
    """A message of which only the name is known."""
    message = _messages.get(name)
    if message is None:
        message = Message(name, _unknown)
        if len(_messages) < 4096:
            _messages[name] = message
    return message


def _unknown(self: object, *args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError


def _restore(cls: type | None, path: str, node: int, id: int) -> Any:
    return make_ref(Address(path, node, id, cls is not None), cls)
