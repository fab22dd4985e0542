"""Calls of modules, seen from within the function of torch that makes them.

A global hook of torch would be seen: where there is any, torch calls a module through one function more, so that a warning about the caller
names another line, a traceback is longer, and a recursion that fits does not. So the function that calls ``forward`` is compiled anew, from
its own source, with a call of ours there and all its lines as they were. Nothing else of it changes, and its object stays: only its code
is exchanged, while somebody looks.

What is told comes at the place of a global hook, before the hooks of the module itself and of the script. Where the source cannot be had or
is not as expected, global hooks serve.
"""

from __future__ import annotations

import ast
import functools
import inspect
import operator
import sys
import textwrap
from collections.abc import Callable
from types import CodeType
from typing import Any, Protocol

from torch import nn
from torch.nn.modules import module as torch_module

from bnprobe.torch_private import FORWARD_CALL, MODULE_CALLER

#: Names of what the code calls, in the namespace of torch's module.
_BEFORE, _AFTER = "_bnprobe_before_forward", "_bnprobe_after_forward"
_CALL_BEFORE = f"{_BEFORE}(self, args)"
_CALL_AFTER = f"""
try:
    result = None
except Exception:
    {_AFTER}(self, args, None)
    raise
{_AFTER}(self, args, result)
"""
#: What is called where nobody looks: something of C that takes as many arguments. No local variable tells it from a hook: frames show them.
_NOBODY: dict[str, Any] = {_BEFORE: operator.is_, _AFTER: slice}
_ORIGINAL: CodeType = MODULE_CALLER.__code__


class Handle(Protocol):
    """What takes a hook away again."""

    def remove(self) -> None:
        """Take it away."""


def before_forward(hook: Callable[[nn.Module, Any], None]) -> Handle:
    """Call a hook with (module, args) before every module's ``forward``; it must return None."""
    if seeing_code() is None:
        return torch_module.register_module_forward_pre_hook(hook)
    return _Hook(_BEFORE, hook)


def after_forward(hook: Callable[[nn.Module, Any, Any], None]) -> Handle:
    """Call a hook with (module, args, output) after every module's ``forward``; it must return None.

    It is called with an output of None, too, inside the handler of an exception that ended the forward.
    """
    if seeing_code() is None:
        return torch_module.register_module_forward_hook(hook, always_call=True)
    return _Hook(_AFTER, hook)


class _Hook:
    """A hook that is there."""

    def __init__(self, place: str, hook: Callable[..., None]) -> None:
        self._place = place
        self._hook = hook
        _HOOKS[place].append(hook)
        _set(place)

    def remove(self) -> None:
        """Take it away."""
        hooks = _HOOKS[self._place]
        hooks[:] = [hook for hook in hooks if hook is not self._hook]
        _set(self._place)


_HOOKS: dict[str, list[Callable[..., None]]] = {_BEFORE: [], _AFTER: []}


def _set(place: str) -> None:
    hooks = tuple(_HOOKS[place])
    names = vars(torch_module)
    for name, nobody in _NOBODY.items():
        names.setdefault(name, nobody)
    names[place] = hooks[0] if len(hooks) == 1 else functools.partial(_call_all, hooks) if hooks else _NOBODY[place]
    code = seeing_code() if any(_HOOKS.values()) else _ORIGINAL
    if MODULE_CALLER.__code__ is not code:
        MODULE_CALLER.__code__ = code


def _call_all(hooks: tuple[Callable[..., None], ...], *args: Any) -> None:
    for hook in hooks:
        hook(*args)


@functools.cache
def seeing_code() -> CodeType | None:
    """Return the code of torch's function with our calls in it; None where it cannot be made."""
    try:
        source, first_line = inspect.getsourcelines(MODULE_CALLER)
        tree = ast.parse(textwrap.dedent("".join(source)))
        indent = len(source[0]) - len(source[0].lstrip())
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt | ast.expr | ast.arg | ast.keyword | ast.excepthandler | ast.alias):
                node.col_offset += indent
                node.end_col_offset = (node.end_col_offset or 0) + indent
        ast.increment_lineno(tree, first_line - 1)
        inserted = _Insertion()
        tree = inserted.visit(tree)
        names: dict[str, Any] = {}
        exec(compile(tree, _ORIGINAL.co_filename, "exec", dont_inherit=True), names)
        code: CodeType = names[MODULE_CALLER.__name__].__code__
    except (OSError, SyntaxError, KeyError, TypeError, ValueError):
        return None
    is_same = code.co_varnames[: code.co_argcount] == _ORIGINAL.co_varnames[: _ORIGINAL.co_argcount]
    if inserted.places != 3 or not is_same or code.co_freevars or _ORIGINAL.co_freevars or MODULE_CALLER.__closure__:
        return None
    return code.replace(co_qualname=_ORIGINAL.co_qualname) if sys.version_info >= (3, 11) else code


class _Insertion(ast.NodeTransformer):
    """Puts our calls around those of ``forward``: ``return forward_call(...)`` and, behind the hooks, ``result = forward_call(...)``.

    What comes before the forward comes before the hooks that do, too.
    """

    def __init__(self) -> None:
        self.places = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """The inner function is for modules with hooks: tell at its beginning."""
        self.generic_visit(node)
        first = next((place for place, statement in enumerate(node.body) if not isinstance(statement, ast.Nonlocal)), 0)
        if node.body and isinstance(node.body[0], ast.Nonlocal):
            node.body[first:first] = _parsed(_CALL_BEFORE, node.body[first])
            self.places += 1
        return node

    def visit_Return(self, node: ast.Return) -> Any:
        """Tell what is about to be returned."""
        if node.value is None or not _calls_forward(node.value):
            return node
        self.places += 1
        given_back = ast.Return(ast.copy_location(ast.Name("result", ast.Load()), node.value))
        return [*_parsed(_CALL_BEFORE, node.value), *self._around(node.value), ast.copy_location(given_back, node)]

    def visit_Assign(self, node: ast.Assign) -> Any:
        """Tell what has been computed."""
        if not _calls_forward(node.value):
            return node
        self.places += 1
        return self._around(node.value)

    @staticmethod
    def _around(call: Any) -> list[ast.stmt]:
        statements = _parsed(_CALL_AFTER, call)
        guarded: Any = statements[0]
        guarded.body[0].value = call
        return statements


def _parsed(text: str, place: Any) -> list[ast.stmt]:
    """Return statements that stand in one place: what a traceback shows there and a warning names is what it would be without them."""
    statements = ast.parse(text).body
    for statement in statements:
        for inner in ast.walk(statement):
            ast.copy_location(inner, place)
    return statements


def _calls_forward(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == FORWARD_CALL
