# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Turn names in the configuration into objects: import classes and functions, and call them."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from inspect import signature
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from ..harness.errors import UserError

PACKAGE = str(__package__).rpartition(".")[0]
Arguments = dict[str, Any]  # keyword arguments by name
MAX_LENGTH = 300  # characters of a library's message, a signature or values in an error


@contextmanager
def as_user_error(text: str) -> Iterator[None]:
    """Turn an exception of the user's code, or a library's, into a line that begins with `text`.

    With the environment variable TRACEBACK set, the exception is raised as it is.

    Raises:
        UserError: for any exception inside the block.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            # Losses warn of this before they broadcast the target to the shape of the outputs.
            warnings.filterwarnings("error", "Using a target size")
            yield
    except UserError:
        raise
    except Exception as error:
        if "TRACEBACK" in os.environ:
            raise
        reason = " ".join(str(error).split())[:MAX_LENGTH]
        hint = f"{type(error).__name__}; TRACEBACK=1 shows where"
        raise UserError(f"{text}: {reason} ({hint}){suggest_attribute(error)}") from error


def suggest_attribute(error: Exception) -> str:
    """The end of a message for a misspelled attribute; empty for other errors."""
    if not isinstance(error, AttributeError):
        return ""
    close = get_close_matches(str(error.name), dir(error.obj), n=1)
    if not close:
        return ""
    return f"; did you mean {close[0]}?"


# Calls


def make_object(name: str, key: str, arguments: Arguments | None) -> Any:
    """Call the class or function of that name.

    Args:
        name: see `find_object`.
        key: the configuration key that has the name.
        arguments: plain values; `{call: NAME, ...}` among them, or in lists, is called first.

    Raises:
        UserError: if the name or the arguments do not fit, or for any exception of the call.
    """
    place = f"{key}={name}"
    function = find_callable(name, key)
    values = make_arguments(arguments, key)
    check_arguments(function, place, values, leading=0)
    with as_user_error(f"{place} rejects {shorten(values)}"):
        return function(**values)


def bind_arguments(
    name: str, key: str, arguments: Arguments | None, leading: int
) -> Callable[..., Any]:
    """The function of that name with keyword arguments, to be called with `leading` others.

    Raises:
        UserError: if the name or the arguments do not fit.
    """
    function = find_callable(name, key)
    values = make_arguments(arguments, key)
    check_arguments(function, f"{key}={name}", values, leading)
    return partial(function, **values)


def make_arguments(arguments: Arguments | None, key: str) -> Arguments:
    """The arguments of a call, with the objects that they name."""
    if arguments is None:
        return {}
    values = {}
    for name, value in arguments.items():
        values[name] = make_value(value, f"{key}_args.{name}")
    return values


def make_value(value: Any, key: str) -> Any:
    """What `{call: NAME, ...}` returns, alone or in lists; any other value as it is."""
    if isinstance(value, list):
        return [make_value(item, key) for item in value]
    if not isinstance(value, Mapping) or "call" not in value:
        return value
    arguments = dict(value)
    name = arguments.pop("call")
    return make_object(name, key, arguments)


def check_arguments(
    function: Callable[..., Any], place: str, values: Arguments, leading: int
) -> None:
    """Raise a UserError if a function does not take these arguments after `leading` others."""
    try:
        parameters = signature(function)
    except ValueError:  # some functions written in C have no signature
        return
    placeholders = [None] * leading
    with as_user_error(f"{place} takes {shorten(parameters)}"):
        parameters.bind(*placeholders, **values)


def shorten(value: Any) -> str:
    """The start of a value's text."""
    return str(value)[:MAX_LENGTH]


# Names


def find_callable(name: str, key: str) -> Callable[..., Any]:
    """The class or function of that name.

    Raises:
        UserError: if there is none, or it is something else.
    """
    found = find_object(name, key)
    if not callable(found):
        kind = type(found).__name__
        raise UserError(f"{key}={name} is a {kind}; name a class or a function")
    return found


def find_object(name: str, key: str) -> Any:
    """The object `package.module.Name`, `.module.Name` of this project, or `path/to/file.py:Name`.

    Packages are also looked for in the working directory, and what a file imports beside the file.

    Raises:
        UserError: if there is no such object.
    """
    place = f"{key}={name}"
    file, separator, attribute = name.rpartition(":")
    if separator:
        return find_in_file(Path(file), attribute, place)
    search_folder(Path.cwd())
    if name.startswith("."):
        return import_object(PACKAGE + name, place)
    return import_object(name, place)


def find_in_file(file: Path, attribute: str, place: str) -> Any:
    """The object of that name in a Python file."""
    if not file.is_file():
        raise UserError(f"{place}: there is no file {file}; correct the path")
    search_folder(file.resolve().parent)
    found = import_object(f"{file.stem}.{attribute}", place)
    module_file = sys.modules[file.stem].__file__
    if module_file is None or not file.samefile(module_file):
        raise UserError(f"{place}: Python has another module called {file.stem}; rename the file")
    return found


def import_object(dotted_name: str, place: str) -> Any:
    """The object of that name in an importable module."""
    module, _, attribute = dotted_name.rpartition(".")
    if not module:
        forms = "package.module.Name, .module.Name or path/to/file.py:Name"
        raise UserError(f"{place} has no module; write {forms}")
    with as_user_error(f"{place} cannot be imported"):
        try:
            return getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name != module:  # a module that this one imports
                raise
            return resolve_name(dotted_name)  # inside a class, or misspelled


def search_folder(folder: Path) -> None:
    """Let Python import from a folder; last, so that it hides nothing that is installed."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
