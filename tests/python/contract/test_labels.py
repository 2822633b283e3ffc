"""PutLabel, GetLabels, DeleteLabel."""

import pytest

from .named import Named


class TestLabels(Named):
    put, get, delete = "put_label", "get_labels", "delete_label"
    rows, kind, least = "labels", "label", 10

    def test_a_label_of_an_event_type_stays(self, afd, shop):
        fraud, legit = shop.labels
        with pytest.raises(afd.exceptions.ConflictException, match=fraud):
            afd.delete_label(name=fraud)
        shop.put_event_type(labels=[legit])
        afd.delete_label(name=fraud)
