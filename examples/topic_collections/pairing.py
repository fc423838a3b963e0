"""From the lines of a text to the seeds that a collection is paired with."""

from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from .models import MAX_URL_LENGTH, Seed, SeedPairing, TopicCollection

#: Rows written, or deleted, by one statement.
BATCH = 500
#: Lines that an error names.
_NAMED = 3

NO_URL = _("These lines are no URLs: %(lines)s. A line is one http or https address.")


def urls_of(text: str) -> list[str]:
    """Each once, in their order. Raises ValidationError for a line that is none."""
    lines = [line.strip() for line in text.splitlines()]
    wrong = [number for number, line in enumerate(lines, 1) if line and not _is_url(line)]
    if wrong:
        named = ", ".join(map(str, wrong[:_NAMED])) + ("…" if len(wrong) > _NAMED else "")
        raise ValidationError(NO_URL, code="no_url", params={"lines": named})
    return list(dict.fromkeys(filter(None, lines)))


def pair(collection: TopicCollection, urls: list[str]) -> None:
    """Let the collection be paired with the seeds of these URLs, made where there are none, and
    with no others. Within a transaction.
    """
    wanted = set(_seed_ids(urls))
    pairings = SeedPairing.objects.filter(collection=collection)
    present = set(pairings.values_list("seed_id", flat=True))
    gone = sorted(present - wanted)
    for at in range(0, len(gone), BATCH):
        pairings.filter(seed_id__in=gone[at : at + BATCH]).delete()
    SeedPairing.objects.bulk_create(
        [SeedPairing(collection=collection, seed_id=each) for each in sorted(wanted - present)],
        batch_size=BATCH,
        # Another form may pair the same at this moment.
        ignore_conflicts=True,
    )


def _seed_ids(urls: list[str]) -> list[int]:
    known = set(Seed.objects.in_bulk(urls, field_name="url"))
    # In one order for all, lest two forms wait for each other's rows.
    missing = [Seed(url=url) for url in sorted(urls) if url not in known]
    Seed.objects.bulk_create(missing, batch_size=BATCH, ignore_conflicts=True)
    return [seed.pk for seed in Seed.objects.in_bulk(urls, field_name="url").values()]


def _is_url(line: str) -> bool:
    try:
        parts = urlsplit(line)
    except ValueError:
        return False
    # In bytes, as an index counts what it can hold.
    plain = line.isprintable() and " " not in line and len(line.encode()) <= MAX_URL_LENGTH
    return plain and parts.scheme in {"http", "https"} and bool(parts.hostname)
