"""``llmrec worker``: a Celery worker and the clock that looks for pending work, in one command."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from enum import StrEnum
from typing import Annotated, Any

import typer

from llmrec_qdrant.cli.app import Connected
from llmrec_qdrant.cli.printing import err
from llmrec_qdrant.errors import BrokerUnavailable, InvalidInput, MissingDependency
from llmrec_qdrant.queues.base import WITH_PASSWORD, mask_url, wants_password
from llmrec_qdrant.settings import export

__all__ = ["QUEUES", "worker"]


QUEUES = ("encode", "refresh", "batch", "generate")
"""Texts to encode; users to refresh after new events; long jobs and the clock; texts by a language model."""

CONNECT_SECONDS = 3.0
"""How long Redis may take to answer at the start."""


class LogLevel(StrEnum):
    """Level of the worker's log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Queues = Annotated[
    str,
    typer.Option(
        help="Kinds of work: encode (texts), refresh (users), batch (long jobs), generate (a language model), comma-separated."
    ),
]
Concurrency = Annotated[
    int, typer.Option(help="Processes. A single one already encodes on all cores; on a GPU, use one.", min=1)
]
Clock = Annotated[bool, typer.Option("--clock/--no-clock", help="Also look for pending work every few seconds.")]
Level = Annotated[LogLevel, typer.Option(help="info: one line per piece of work done.")]


def worker(
    context: Connected,
    queues: Queues = "encode,refresh,batch,generate",
    concurrency: Concurrency = 1,
    clock: Clock = True,
    loglevel: Level = LogLevel.INFO,
) -> None:
    """Start a worker: it encodes texts, keeps users up to date, and runs long jobs. It serves all spaces of the Qdrant.

    Start as many as you like, on any machine that reaches Redis and Qdrant; several clocks do no harm. Ctrl-C or SIGTERM
    stops it when the work at hand is finished; what is left stays recorded in Qdrant.

    Example: llmrec worker --url http://localhost:6333 --broker redis://localhost:6379/0

    Example, so that fresh events never wait behind a catalogue: llmrec worker --queues refresh --no-clock
    """
    names = _checked(queues)
    context.refuse_tenant("the work of a worker")
    _check_addresses(context)
    version = _qdrant_version(context)
    app = _celery_app(context)
    _check_broker(app)
    _quieten(loglevel)
    banner = _banner(context, version, names, concurrency, clock)
    raise typer.Exit(_run(app, names, concurrency, clock, loglevel, banner))


def _checked(queues: str) -> list[str]:
    names = [name.strip() for name in queues.split(",") if name.strip()]
    if not names or set(names) - set(QUEUES):
        raise InvalidInput(f"--queues must name some of {', '.join(QUEUES)}, separated by commas, not {queues!r}")
    return names


def _check_addresses(context: Connected) -> None:
    connection = context.obj.connection()
    if connection["broker"] is None:
        raise InvalidInput(
            "a worker needs a broker: pass --broker redis://localhost:6379/0, or set LLMREC_BROKER. Without a broker "
            "no worker is needed: every process does its own work"
        )
    if connection["url"] is None and connection["path"] is not None:
        raise InvalidInput(
            f"a worker needs a Qdrant server: pass --url http://localhost:6333. The embedded Qdrant in "
            f"{connection['path']!r} serves one process only"
        )


def _qdrant_version(context: Connected) -> str:
    """Return the server's version. Raises what :meth:`Recommender.connect` raises."""
    with context.open() as rec:
        return rec.client.info().version


def _celery_app(context: Connected) -> Any:
    """Return the Celery application. It and its child processes read the connection from the environment."""
    export(context.obj.connection())
    try:
        from ..app import app
    except ImportError as error:
        raise MissingDependency(
            f"`llmrec worker` needs Celery ({error.name} is missing): pip install 'llmrec-qdrant[workers]'"
        ) from None
    return app


def _check_broker(app: Any) -> None:
    url = app.conf.broker_url
    options = {**app.conf.broker_transport_options, "socket_connect_timeout": CONNECT_SECONDS}
    try:
        with app.connection_for_write(transport_options=options, connect_timeout=CONNECT_SECONDS) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
    except Exception as error:  # kombu raises what redis-py raised, or its own
        if wants_password(error):
            raise BrokerUnavailable(
                f"Redis at {mask_url(url)} asks for a password, or for another one: pass --broker {WITH_PASSWORD}"
            ) from error
        reason = " ".join(str(error).split())[:200]
        raise BrokerUnavailable(
            f"Redis at {mask_url(url)} does not answer ({type(error).__name__}: {reason}): start it, or name another "
            "with --broker"
        ) from error


def _quieten(loglevel: LogLevel) -> None:
    """Hide Celery's start-up notes, which the banner replaces, and its warnings about settings that app.py chose."""
    from celery.exceptions import CPendingDeprecationWarning

    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    if loglevel is not LogLevel.DEBUG:
        for name in ("celery.apps.worker", "celery.beat", "celery.worker.consumer", "kombu"):
            logging.getLogger(name).setLevel(logging.WARNING)


def _banner(context: Connected, version: str, queues: list[str], concurrency: int, clock: bool) -> str:
    from llmrec_qdrant import __version__

    from ..storage.clock import RECONCILE_EVERY

    broker = context.obj.connection()["broker"]
    processes = "one process" if concurrency == 1 else f"{concurrency} processes"
    ticking = f"looks for pending work every {RECONCILE_EVERY:g} s" if clock else "off (--no-clock)"
    return (
        f"llmrec worker {__version__}, ready\n"
        f"  qdrant  {context.where} ({version})\n"
        f"  broker  {mask_url(broker)}\n"
        f"  queues  {', '.join(queues)}, {processes}\n"
        f"  clock   {ticking}"
    )


def _run(app: Any, queues: list[str], concurrency: int, clock: bool, loglevel: LogLevel, banner: str) -> int:
    """Work until a signal arrives; returns the exit code, 0 after a requested shutdown."""
    from celery.beat import EmbeddedService

    shutdowns = _listen(banner)
    # solo runs tasks in this process, which CUDA needs; app.py makes prefork spawn its processes instead of forking.
    running = app.Worker(
        hostname=f"llmrec-{os.getpid()}@{socket.gethostname()}",
        queues=queues, pool_cls="solo" if concurrency == 1 else "prefork", concurrency=concurrency,
        loglevel=loglevel.value.upper(), quiet=True, redirect_stdouts=False,
        without_gossip=True, without_mingle=True, optimization="fair",
    )  # fmt: skip
    if clock:
        # A thread: it ends with this process, and has no schedule file that two workers would fight over.
        EmbeddedService(app, thread=True, scheduler_cls=app.conf.beat_scheduler).start()
    running.start()
    return 0 if shutdowns == ["Warm"] else int(running.exitcode or 0)


def _listen(banner: str) -> list[str]:
    """Print the banner when the worker is ready; returns a list that receives the kind of each requested shutdown."""
    from celery import signals

    shutdowns: list[str] = []

    def greet(**_: Any) -> None:
        err.print(banner, markup=False, highlight=False, soft_wrap=True)

    def note(how: str, **_: Any) -> None:
        shutdowns.append(how)

    signals.worker_ready.connect(greet, weak=False)
    signals.worker_shutting_down.connect(note, weak=False)
    return shutdowns
