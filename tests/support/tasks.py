"""Background work that runs when a test says so: as a worker would, after the request."""

import queue
from collections.abc import Callable
from functools import partial
from typing import Any

from django_tasks import TaskResult, TaskResultStatus
from django_tasks.backends.base import BaseTaskBackend
from django_tasks.base import Task
from django_tasks.utils import get_random_id

_jobs: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()


class HeldBackend(BaseTaskBackend):
    """Keeps what is enqueued until `run_tasks`."""

    def enqueue(self, task: Task[Any, Any], args: Any, kwargs: Any) -> TaskResult[Any]:
        self.validate_task(task)
        _jobs.put(partial(task.call, *args, **kwargs))
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


def run_tasks() -> int:
    """Run what was enqueued, in order; how many there were."""
    count = 0
    while not _jobs.empty():
        _jobs.get()()
        count += 1
    return count


def waiting_tasks() -> int:
    """How many wait to be run."""
    return _jobs.qsize()


def drop_tasks() -> None:
    """As when the server is killed: what was enqueued is lost."""
    while not _jobs.empty():
        _jobs.get()
