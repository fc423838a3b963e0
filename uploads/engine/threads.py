"""The default backend of Django's Tasks interface: a few threads in the server process.

A real queue (a database worker, RQ, Celery) is a setting away: `TASKS`.
"""

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import connections
from django_tasks import TaskResult, TaskResultStatus
from django_tasks.backends.base import BaseTaskBackend
from django_tasks.base import Task
from django_tasks.utils import get_random_id

from uploads import conf

logger = logging.getLogger("uploads.background")


class Threads:
    """A queue and the threads that empty it, begun with the first job: as many as `count` says.

    They are daemons so that a server told to stop need not wait for a large file to be hashed.
    """

    def __init__(self, name: str, count: Callable[[], int]) -> None:
        self._name = name
        self._count = count
        self._jobs: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._started = 0
        self._lock = threading.Lock()

    def run(self, job: Callable[[], object]) -> None:
        self._jobs.put(job)
        with self._lock:
            while self._started < self._count():
                name = f"{self._name}-{self._started}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
                self._started += 1

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception:
                # The state in the database is what recovery goes by; this thread must live on.
                logger.exception("A background task failed; recovery will try it again")
            finally:
                connections.close_all()


# Django keeps one backend object per thread, but the threads are the process's.
_threads = Threads("uploads-background", lambda: conf.current().background_threads)


class ThreadBackend(BaseTaskBackend):
    """Runs tasks in daemon threads of this process, in order of arrival."""

    def enqueue(self, task: Task[Any, Any], args: Any, kwargs: Any) -> TaskResult[Any]:
        self.validate_task(task)
        _threads.run(partial(task.call, *args, **kwargs))
        return TaskResult(
            task=task,
            id=get_random_id(),
            status=TaskResultStatus.READY,
            enqueued_at=None,
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
