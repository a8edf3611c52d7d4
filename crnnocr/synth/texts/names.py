"""Names, companies, addresses and the like of a country, as faker makes them."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crnnocr.charset import normalise

if TYPE_CHECKING:
    from faker import Faker

POOL_SIZE = 300
"""Things of each kind; in those with digits the digits are drawn anew each time."""

_KINDS = {
    "name": ("person", "name"),
    "company": ("company", "company"),
    "address": ("address", "street_address"),
    "city": ("address", "city"),
    "phone": ("phone_number", "phone_number"),
    "plate": ("automotive", "license_plate"),
    "monthName": ("date_time", "month_name"),
}
"""For each kind, who in faker provides it and how it is called there."""


@functools.cache
def pools(locale: str) -> Mapping[str, tuple[str, ...]]:
    """Things of each kind that faker knows for `locale`; a kind that it would borrow from another language is left out."""
    from faker import Faker

    fake = Faker(locale)
    owned = {_topic(provider): provider for provider in fake.get_providers() if (provider.__lang__ or "")[:2] == locale[:2]}
    for provider in owned.values():
        _put_in_order(provider)
    calls = {kind: call for kind, (topic, call) in _KINDS.items() if topic in owned and hasattr(fake, call)}
    return {kind: _pool(fake, call) for kind, call in calls.items()}


def _put_in_order(provider: object) -> None:
    """Sort the lists that a provider draws from: that of Italian cities comes out of a set, and differs between processes."""
    for name, value in vars(type(provider)).items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            setattr(provider, name, sorted(value))


def _pool(fake: Faker, call: str) -> tuple[str, ...]:
    fake.seed_instance(0)
    with _seeded():
        things = {_line(getattr(fake, call)()) for _ in range(POOL_SIZE)}
    return tuple(sorted(things))  # the months come by the clock, which faker draws dates up to


@contextmanager
def _seeded() -> Iterator[None]:
    """Python's own generator begins anew, for Ukrainian plates are drawn from that, and is then as before."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


@functools.cache
def latin() -> tuple[str, ...]:
    """Plain words in the letters a to z, as in the addresses of the net in any language."""
    from faker import Faker

    listed = Faker("en_US", providers=["faker.providers.lorem"]).get_words_list()
    return tuple(word for word in dict.fromkeys(map(str.lower, listed)) if word.isalpha())


def _topic(provider: object) -> str:
    """`person` of `faker.providers.person.de_DE`."""
    return type(provider).__module__.split(".")[2]


def _line(text: str) -> str:
    return " ".join(normalise(text).split())
