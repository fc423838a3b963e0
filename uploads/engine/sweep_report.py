"""What a sweep did, item by item and in sums."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from uploads.errors import StorageFull, StorageUnavailable


@dataclass(slots=True)
class Sweep:
    """What a sweep did, or would do. `say` is told of each item in a line."""

    dry_run: bool = False
    say: Callable[[str], object] = lambda _: None
    #: Incomplete sessions whose time was over: they show as expired from now on, without data.
    expired: int = 0
    #: Sessions that are gone for good, by the status they had.
    purged: Counter[str] = field(default_factory=Counter)
    #: Completed sessions that their owners had deleted, a moment ago.
    trash: int = 0
    #: Left alone because something is arriving.
    spared: int = 0
    #: Staging that no session needs.
    orphaned_folders: int = 0
    #: Content without a row.
    orphaned_content: int = 0
    #: Rows of content whose deletion, or whose verifier, did not come to its end.
    abandoned_content: int = 0
    #: Sessions whose verifier had died, verified now.
    recovered: int = 0
    #: Users of whom the kept sums were not those of their files.
    recounted: int = 0
    bytes_freed: int = 0
    #: What the disk refused; the next sweep tries it again.
    refused: int = 0
    #: The database knows of no upload at all: what lies in the store may be another database's.
    foreign_store: bool = False

    @contextmanager
    def item(self, name: str) -> Iterator[None]:
        """One item's work: when the disk refuses it, the others still get their turn."""
        try:
            yield
        except (StorageFull, StorageUnavailable) as error:
            self.refused += 1
            self.say(f"refused {name}: {error.__cause__ or error}")
