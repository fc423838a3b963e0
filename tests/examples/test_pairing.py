"""E5: a line is a URL; pairing links it to the seed of that URL, made where there is none."""

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from examples.topic_collections.models import MAX_URL_LENGTH, Seed, TopicCollection
from examples.topic_collections.pairing import BATCH, pair, urls_of
from tests.support.threads import at_once

ONE, TWO, THREE = (f"https://{name}.example/" for name in ("one", "two", "three"))


def paired(collection: TopicCollection) -> list[str]:
    return sorted(collection.seeds.values_list("url", flat=True))


def test_a_seed_that_is_there_is_linked_and_another_is_made(
    alice: User, collection: TopicCollection
) -> None:
    known = Seed.objects.create(url=ONE)
    pair(collection, [ONE, TWO])
    assert paired(collection) == [ONE, TWO]
    assert Seed.objects.get(url=ONE) == known
    other = TopicCollection.objects.create(title="Other", curator=alice)
    pair(other, [TWO])
    assert Seed.objects.count() == 2


def test_a_line_that_is_gone_is_unpaired_and_its_seed_stays(collection: TopicCollection) -> None:
    pair(collection, [ONE, TWO])
    pair(collection, [TWO, THREE])
    assert paired(collection) == sorted([TWO, THREE])
    assert Seed.objects.filter(url=ONE).exists()
    pair(collection, [])
    assert paired(collection) == []


def test_more_than_one_statement_holds_are_paired_and_unpaired(
    collection: TopicCollection,
) -> None:
    urls = [f"https://example.org/{number}" for number in range(3 * BATCH + 1)]
    pair(collection, urls)
    assert len(paired(collection)) == len(urls)
    pair(collection, urls[:1])
    assert paired(collection) == urls[:1]


def test_two_that_pair_the_same_at_once_make_one_seed(
    alice: User, collection: TopicCollection
) -> None:
    other = TopicCollection.objects.create(title="Other", curator=alice)
    results = at_once([lambda: pair(collection, [ONE]), lambda: pair(other, [ONE])])
    assert results == [None, None]
    assert Seed.objects.get().collections.count() == 2


def test_each_url_counts_once_and_in_its_order() -> None:
    assert urls_of(f"{TWO}\n\n  {ONE} \r\n{TWO}") == [TWO, ONE]


@pytest.mark.parametrize(
    "line",
    [
        "words",
        "ftp://a.example/",
        "https://",
        "http://[x",
        "https://a.example/b c",
        "//a.example",
        "javascript:alert(1)",
        "https://a.example/" + "x" * MAX_URL_LENGTH,
    ],
)
def test_what_is_no_web_address_is_no_seed(line: str) -> None:
    with pytest.raises(ValidationError):
        urls_of(f"{ONE}\n{line}")
