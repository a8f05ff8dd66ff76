"""How every door runs: one process a home, log on standard error, one line "ready" on standard output, an orderly end.

A door's `__main__` hands its work to `run`; signals, the lock and the words about an environment that does not let it start stand here.
"""

import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from connectors.identity import Keys, Vault
from connectors.settings import Settings, load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.object_store.files import FileObjectStore
from messages import because

__all__ = ["CannotStart", "Stores", "opened", "port_taken", "run"]

Work = Callable[[Settings, threading.Event], None]


class CannotStart(RuntimeError):
    """The environment does not let a service start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What a door writes to."""

    journal: SqliteJournal
    sealed: FileObjectStore
    clear: FileObjectStore
    vault: Vault
    keys: Keys


def run(name: str, work: Work) -> int:
    """Do a door's work until SIGTERM or SIGINT sets the event; return 0, or 3 when the environment does not let it start."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    settings, stop = load(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with _alone(settings, name):
            work(settings, stop)
    except CannotStart as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return 3
    return 0


@contextmanager
def opened(settings: Settings, name: str) -> Iterator[Stores]:
    """Open the journal of this name, the objects and the vault, and close them behind the door; raise CannotStart."""
    try:
        keys = Keys.of(settings)
        stores = Stores(
            SqliteJournal(settings.journals / f"{name}.db"),
            FileObjectStore(settings.objects / "sealed", keys.seal, keys.unseal).open(),
            FileObjectStore(settings.objects / "clear").open(),
            Vault.of(settings, keys),
            keys,
        )
    except OSError as exc:
        raise CannotStart(because("service.home_unusable", folder=settings.home, problem=exc)) from exc
    try:
        yield stores
    finally:
        stores.journal.close()  # waits for a commit at work; what comes later is refused or not answered at all
        stores.vault.close()


def port_taken(settings: Settings, port: int, setting: str, exc: OSError) -> CannotStart:
    """Return what to raise when a port cannot be opened."""
    why = os.strerror(exc.errno or 0)
    return CannotStart(because("service.port_unusable", port=port, host=settings.host, problem=why, setting=setting))


@contextmanager
def _alone(settings: Settings, name: str) -> Iterator[None]:
    """Hold the lock of this service in this home: a journal has one writer."""
    try:
        (settings.home / "run").mkdir(parents=True, exist_ok=True)
        lock = (settings.home / "run" / f"{name}.lock").open("w")
    except OSError as exc:
        raise CannotStart(because("service.file_not_writable", file=exc.filename, problem=exc.strerror)) from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(because("service.already_running", folder=settings.home)) from None
        yield
