"""PutEntityType, GetEntityTypes, DeleteEntityType."""

import pytest

from .api import fresh
from .named import Named


class TestEntityTypes(Named):
    put, get, delete = "put_entity_type", "get_entity_types", "delete_entity_type"
    rows, kind, least = "entityTypes", "entity-type", 5

    def test_an_entity_type_of_an_event_type_stays(self, afd, shop):
        with pytest.raises(afd.exceptions.ConflictException, match=shop.customer):
            afd.delete_entity_type(name=shop.customer)
        other = fresh("merchant")
        afd.put_entity_type(name=other)
        shop.put_event_type(entityTypes=[other])
        afd.delete_entity_type(name=shop.customer)
