"""The door of the command line: configuration file, exit status, and errors in a sentence."""

__all__ = ["main"]

import errno
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cyclopts.config
from cyclopts import CycloptsError

from weighbridge.cli.commands import app
from weighbridge.errors import LeftOutWarning, WeighbridgeError
from weighbridge.settings.config import read_toml


def main() -> None:
    """Run the command line and exit: 0 done, 2 something to put right, 130 interrupted."""
    arguments = sys.argv[1:]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be any bytes
    warnings.formatwarning = _in_a_sentence
    try:
        _load_config_file(arguments)
        app(arguments, exit_on_error=False, print_error=True)
    except CycloptsError:
        sys.exit(2)
    except WeighbridgeError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:  # a full disk, a folder that may not be written
        advice = ". Free some space and run the same command again" if error.errno == errno.ENOSPC else ""
        _fail((f"{error.strerror}: '{error.filename}'" if error.filename else str(error)) + advice)


def _in_a_sentence(
    message: Warning | str,
    category: type[Warning],
    *where: Any,
    usual: Callable[..., str] = warnings.formatwarning,
    **line: Any,
) -> str:
    """What users are warned of comes without the line of code that does it."""
    return f"weighbridge: {message}\n" if category is LeftOutWarning else usual(message, category, *where, **line)


def _load_config_file(arguments: list[str]) -> None:
    """Put a --config file underneath the options of the command line."""
    for place, word in enumerate(arguments):
        name, _, value = word.partition("=")
        if name == "--config":
            path = Path(value or "".join(arguments[place + 1 : place + 2]))
            values: dict[str, Any] = read_toml(path)
            app.config = [cyclopts.config.Dict(values, source=str(path), use_commands_as_keys=False)]


def _fail(sentence: str) -> None:
    print(f"weighbridge: {sentence}", file=sys.stderr)
    sys.exit(2)
