"""The Celery application: its settings, each with its reason.

``llmrec worker`` starts a worker and the clock. Addresses and keys come from ``LLMREC_*`` (see ``llmrec_qdrant/settings.py``).
"""

from __future__ import annotations

import logging

from celery import Celery, signals

from llmrec_qdrant.errors import InvalidInput
from llmrec_qdrant.settings import Settings

from .storage.alive import touch
from .storage.clock import BATCH

__all__ = ["app"]


# A log line per request, per message or per tick of the clock is noise; `tasks` logs the work that was done.
for _name in ("httpx", "celery.app.trace", "celery.beat", "celery.worker.strategy", "multiprocessing"):
    logging.getLogger(_name).setLevel(logging.WARNING)


def _broker() -> str:
    settings = Settings()
    if settings.tenant is not None:
        raise InvalidInput("a worker serves all tenants: unset LLMREC_TENANT")
    broker = settings.broker
    if broker is None:
        raise InvalidInput("a worker needs a broker: set LLMREC_BROKER, for example to redis://localhost:6379/0")
    return broker.get_secret_value()


app = Celery("llmrec", broker=_broker(), include=[f"{__package__}.tasks"])

for _signal in (signals.heartbeat_sent, signals.after_task_publish, signals.task_postrun):
    _signal.connect(touch)


app.conf.update(
    # JSON only: reading a message must not run code.
    task_serializer="json",
    accept_content=["json"],
    result_accept_content=["json"],
    # Nobody waits for a result: progress is recorded in Qdrant.
    task_ignore_result=True,
    # A message leaves Redis only when its work is done; if a worker dies, its message is delivered again.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # One message at a time: a dead worker delays one unit of work, not a queue of them.
    worker_prefetch_multiplier=1,
    # Redis delivers an unacknowledged message again after this time, by the clocks of the workers that took it and that look
    # for it: an hour, so that clocks may differ by minutes. Nothing waits for it, as a sweep finds what a dead worker left.
    broker_transport_options={"visibility_timeout": 3_600, "socket_keepalive": True},
    # A worker that starts before Redis waits for it.
    broker_connection_retry_on_startup=True,
    # On QUIT, finish the running task first (TERM waits for it anyway).
    worker_soft_shutdown_timeout=30.0,
    # When Redis goes away, let running tasks finish: their writes are guarded and worth having.
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # Retry the connection to Redis forever, not a hundred times.
    broker_connection_max_retries=None,
    # A spawned child shares no CUDA context and no lock with its parent.
    worker_pool_start_method="spawn",
    worker_log_format="%(asctime)s %(levelname)s %(message)s",
    # Whoever reaches Redis could stop workers or change their settings; nothing here needs it.
    worker_enable_remote_control=False,
    # Arguments show up in logs and monitors: keep their representation short.
    resultrepr_maxsize=200,
    # Bounds leaks in native code: above this many KiB, the process is replaced between two tasks.
    worker_max_memory_per_child=4_000_000,
    task_default_queue=BATCH,
    timezone="UTC",
    beat_scheduler=f"{__package__}.storage.clock:Clock",
)
