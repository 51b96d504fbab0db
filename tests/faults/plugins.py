"""Plugins that raise anything, hang or return rubbish: the rest works, and they are named."""

from __future__ import annotations

import asyncio
import builtins
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from toys.plugins import point

from faults.operations import forget_registered, fresh, search
from faults.result import Outcome, Result
from faults.sandbox import Sandbox

NAME = "plugins"
HOOKS = ("measures", "collections", "tasks", "models", "methods", "backbones", "debiasers")
LONGEST_LINE = 1500
NAMED_AFTER_S = 12.0


class Mute(Exception):  # noqa: N818 -- raises when it is shown
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Answers:
    """Has every attribute, and none of use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Answers()

    def __call__(self, *_: Any, **__: Any) -> Any:
        return Answers()


class Hostile:
    """Raises whatever is asked of it."""

    def __init__(self, error: BaseException) -> None:
        object.__setattr__(self, "error", error)

    def __getattribute__(self, name: str) -> Any:
        if name in {"__class__", "error"}:
            return object.__getattribute__(self, name)
        raise object.__getattribute__(self, "error")

    def __repr__(self) -> str:
        raise object.__getattribute__(self, "error")


def _exceptions() -> list[BaseException]:
    """One of every type that Python has, but for what a user's Ctrl-C raises."""
    found: list[BaseException] = [Mute(), asyncio.CancelledError(), Exception("\x1b[31mred\n" * 50)]
    for kind in vars(builtins).values():
        if isinstance(kind, type) and issubclass(kind, BaseException):
            for arguments in (("boom",), (), ("u", b"b", 0, 1, "r"), ("group", [ValueError("x")])):
                try:
                    error = kind(*arguments)
                except (TypeError, ValueError):
                    continue
                if not isinstance(error, KeyboardInterrupt):
                    found.append(error)
                break
    return found


def _rubbish() -> list[tuple[str, Any]]:
    """What is no plugin, and no item of any registry."""
    named = SimpleNamespace(name="\x1b[31mname\n", metadata=SimpleNamespace(name="x" * 10_000))
    return [
        *(("none", None), ("number", 7), ("text", "plugin"), ("type", int), ("list", [1])),
        *(("answers", Answers()), ("named", named), ("array", np.zeros(3))),
        ("raises", Hostile(ValueError("asked"))),
        ("exits", Hostile(SystemExit(3))),
        ("no-name", SimpleNamespace(name=None)),
        ("numbered", SimpleNamespace(name=7)),
        ("nan", float("nan")),
    ]


def _hook(name: str, act: Callable[[Callable[[Any], None]], Any]) -> Any:
    """A plugin with one hook."""
    from hybridir_mteb import hookimpl

    def implementation(register: Callable[[Any], None]) -> Any:
        return act(register)

    implementation.__name__ = f"register_{name}"
    return SimpleNamespace(**{f"register_{name}": hookimpl(implementation)})


def _good() -> Any:
    """A plugin that works: it registers a measure."""
    from hybridir_mteb.plugins.specs import Measure

    def worst(table: Any) -> Any:
        return np.array([0.0])

    measure = Measure("campaign_measure", worst, "It works.")
    return _hook("measures", lambda register: register(measure))


def _raising(error: BaseException) -> Callable[[Any], Any]:
    def act(register: Any) -> Any:
        raise error

    return act


def _points() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name of a case, and what makes its entry point."""
    for at, error in enumerate(_exceptions()):
        kind = type(error).__name__
        yield f"import:{at}-{kind}", lambda error=error: point(error, "chaos", "bad")
        hook = HOOKS[at % len(HOOKS)]
        yield (
            f"hook:{at}-{hook}-{kind}",
            lambda hook=hook, error=error: point(_hook(hook, _raising(error)), "chaos", "bad"),
        )
    for kind, item in _rubbish():
        yield f"plugin:{kind}", lambda item=item: point(item, "chaos", "bad")
        for hook in HOOKS:
            yield (
                f"item:{hook}-{kind}",
                lambda hook=hook, item=item: point(
                    _hook(hook, lambda register: register(item)), "chaos", "bad"
                ),
            )
    for hook in HOOKS:
        yield f"returns:{hook}", lambda hook=hook: point(_hook(hook, lambda _: Answers()), "chaos")
        yield (f"many:{hook}", lambda hook=hook: point(_hook(hook, _register_many), "chaos", "bad"))
    yield "signature:none", lambda: point(SimpleNamespace(register_measures=_marked(lambda: 1)))
    yield "signature:many", lambda: point(SimpleNamespace(register_tasks=_marked(_many)))
    yield "unknown:hook", lambda: point(SimpleNamespace(register_nothing=_marked(_many)), "chaos")


def _register_many(register: Callable[[Any], None]) -> None:
    """Three hundred items of no use."""
    for at in range(300):
        register(SimpleNamespace(name=f"x{at}"))


def _many(register: Any, other: Any, third: Any) -> None:
    """A hook that wants what it does not get."""


def _marked(function: Any) -> Any:
    from hybridir_mteb import hookimpl

    return hookimpl(function)


def run(box: Sandbox, amount: float, wanted: Callable[[str], bool], seed: int) -> Iterator[Result]:
    """Load each beside a plugin that works, and give all of it to mteb."""
    box.put_back()
    cases = list(_points())
    step = max(1, round(1 / min(1.0, amount * 2)))
    for case, make in cases[::step]:
        if wanted(case):
            yield _load(box, case, make)
    for at, rubbish in enumerate(_outputs()):
        case = f"encoder:{at}"
        if wanted(case) and at % step == 0:
            yield _encode(box, case, rubbish)
    if wanted("hang:") and amount >= 1:
        yield _hang(box, "hang:hook")


def _load(box: Sandbox, case: str, make: Callable[[], Any]) -> Result:
    def act() -> None:
        from importlib.metadata import entry_points

        from hybridir_mteb.adapters.mteb import register
        from hybridir_mteb.plugins.manager import load_plugins

        own = list(entry_points(group="hybridir_mteb"))
        plugins = load_plugins([*own, make(), point(_good(), "works", "good")])
        forget_registered()
        registered = register.register(plugins)
        seen = {
            "measures": "campaign_measure" in registered.measures,
            "models": "pins/hash" in registered.models,
            "tasks": "PinsStreamedMonolingualRetrieval" in registered.tasks,
            "package": "hybridir/pocket-base" in registered.models,
            "problems": [str(problem) for problem in registered.problems],
        }
        Path("seen.json").write_text(json.dumps(seen))

    ran = box.run(act)
    if ran.hung:
        return Result(case, Outcome.HUNG)
    if ran.code != 0:
        return Result(case, Outcome.TRACEBACK, f"{ran.code} {ran.failed or ran.err[-300:]}")
    seen = json.loads((box.home / "seen.json").read_text())
    problems = seen.pop("problems")
    if missing := [name for name, there in seen.items() if not there]:
        return Result(case, Outcome.UNDETECTED, f"lost: {missing}; {problems}")
    harmless = case.startswith(("returns", "unknown")) or (not problems and "answers" in case)
    if not problems and not harmless and case.partition(":")[0] not in {"plugin"}:
        return Result(case, Outcome.UNDETECTED, "nothing is reported")
    for problem in problems:
        if "\n" in problem or "\x1b" in problem or len(problem) > LONGEST_LINE:
            return Result(case, Outcome.TRACEBACK, f"not one line: {problem[:200]!r}")
    return Result(case, Outcome.REFUSED if problems else Outcome.RIGHT)


def _outputs() -> list[Callable[[int], Any]]:
    """What an encoder may return for ``n`` texts instead of vectors."""

    def bad(value: float) -> Callable[[int], Any]:
        return lambda n: np.full((n, 16), value, np.float32)

    return [
        *(bad(float("nan")), bad(float("inf")), bad(1e38)),
        *(lambda n: None, lambda n: [], lambda n: "vectors", lambda n: np.zeros(16)),
        *(lambda n: np.zeros((n + 1, 16), np.float32), lambda n: np.zeros((n, 0), np.float32)),
        *(lambda n: np.array([["x"] * 16] * n), lambda n: np.zeros((n, 16), complex)),
        *(lambda n: [[0.0] * (at % 3 + 1) for at in range(n)], lambda n: [None] * n),
        *(lambda n: np.zeros((n, 4, 4), np.float32), lambda n: {"vectors": n}, lambda n: n),
        lambda n: (np.zeros(16, np.float32) for _ in range(n)),
    ]


def _encode(box: Sandbox, case: str, rubbish: Callable[[int], Any]) -> Result:
    box.put_back()

    def act() -> None:
        import pins_plugin

        def encode(self: Any, inputs: Any, **_: Any) -> Any:
            return rubbish(sum(len(batch["text"]) for batch in inputs))

        pins_plugin.HashEncoder.encode = encode
        fresh(search())()

    ran = box.run(act)
    if ran.one_line:
        return Result(case, Outcome.REFUSED)
    if ran.code == 0:
        measures = json.loads((box.home / "out" / "measures.json").read_text())
        return Result(case, Outcome.UNDETECTED, f"{str(measures)[:200]}")
    return Result(case, Outcome.TRACEBACK, f"{ran.code} {ran.failed or ran.err[-300:]}")


def _hang(box: Sandbox, case: str) -> Result:
    """A hook that takes long is named while it does."""

    def act() -> None:
        from hybridir_mteb.plugins.manager import load_plugins

        def wait(register: Any) -> None:
            time.sleep(NAMED_AFTER_S)

        load_plugins([point(_hook("measures", wait), "chaos", "slow")])

    ran = box.run(act)
    named = "chaos" in ran.err
    return Result(case, Outcome.RIGHT if named else Outcome.HUNG, "" if named else "not named")
