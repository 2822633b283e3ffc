"""Labels, outcomes and entity types have the same three operations; this asks them of each."""

import pytest

from .api import MILLISECONDS, RUN, body, check_pages, fresh, pages, refusal


class Named:
    """Put, get and delete of something that has a name and a description."""

    put: str
    get: str
    delete: str
    rows: str
    kind: str
    least: int

    @pytest.fixture
    def put_(self, afd):
        return getattr(afd, self.put)

    @pytest.fixture
    def get_(self, afd):
        return getattr(afd, self.get)

    @pytest.fixture
    def delete_(self, afd):
        return getattr(afd, self.delete)

    def one(self, get_, name):
        (row,) = get_(name=name)[self.rows]
        return row

    def test_what_is_put_can_be_got(self, put_, get_):
        name = fresh("new-1")
        assert body(put_(name=name, description="what it is")) == {}
        answer = body(get_(name=name))
        assert list(answer) == [self.rows], "one row has no next page"
        (row,) = answer[self.rows]
        assert MILLISECONDS.fullmatch(row["createdTime"])
        assert row["lastUpdatedTime"] == row["createdTime"]
        assert row["arn"].startswith("arn:aws:frauddetector:us-east-1:") and row["arn"].endswith(f":{self.kind}/{name}")
        assert set(row) == {"name", "description", "createdTime", "lastUpdatedTime", "arn"}
        assert (row["name"], row["description"]) == (name, "what it is")

    def test_a_put_replaces_the_description_and_nothing_else(self, put_, get_):
        name = fresh()
        put_(name=name, description="before")
        before = self.one(get_, name)
        put_(name=name, description="after")
        after = self.one(get_, name)
        assert after["description"] == "after"
        assert after["createdTime"] == before["createdTime"]
        assert after["lastUpdatedTime"] >= before["lastUpdatedTime"]
        put_(name=name)
        assert "description" not in self.one(get_, name)

    def test_tags_are_those_of_the_first_put(self, afd, put_, get_):
        name = fresh()
        put_(name=name, tags=[{"key": "team", "value": "fraud"}])
        put_(name=name, tags=[{"key": "team", "value": "other"}])
        tags = afd.list_tags_for_resource(resourceARN=self.one(get_, name)["arn"])["tags"]
        assert tags == [{"key": "team", "value": "fraud"}]

    def test_a_name_that_does_not_exist(self, afd, get_):
        with pytest.raises(afd.exceptions.ResourceNotFoundException, match="nothing' does not exist"):
            get_(name=fresh("nothing"))

    def test_what_is_deleted_is_gone_and_deleting_it_again_is_no_error(self, afd, put_, get_, delete_):
        name = fresh()
        put_(name=name)
        assert body(delete_(name=name)) == {}
        with pytest.raises(afd.exceptions.ResourceNotFoundException):
            get_(name=name)
        assert body(delete_(name=name)) == {}

    def test_pages(self, put_, get_):
        names = [fresh(f"page-{number}") for number in range(self.least + 1)]
        for name in names:
            put_(name=name)
        check_pages(get_, self.rows, lambda row: row["name"], self.least, names)

    def test_all_violations_are_in_one_message(self, afd, put_):
        with pytest.raises(afd.exceptions.ValidationException) as caught:
            put_(name="Fraud", description="")
        assert caught.value.response["Error"]["Message"] == (
            "2 validation errors detected: "
            "Value 'Fraud' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9a-z_-]+$; "
            "Value '' at 'description' failed to satisfy constraint: Member must have length greater than or equal to 1"
        )

    def test_a_page_that_is_too_small(self, get_):
        assert refusal(get_, maxResults=self.least - 1) == (
            f"ValidationException: 1 validation error detected: Value '{self.least - 1}' at 'maxResults' "
            f"failed to satisfy constraint: Member must have value greater than or equal to {self.least}"
        )

    def test_a_tag_key_is_given_once(self, put_, get_):
        name = fresh()
        tags = [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]
        assert refusal(put_, name=name, tags=tags).startswith("ValidationException: ")
        assert refusal(get_, name=name).startswith("ResourceNotFoundException: ")

    def test_names_are_in_order(self, put_, get_):
        for letter in "cab":
            put_(name=fresh(letter))
        ours = [row["name"] for page in pages(get_, self.rows) for row in page if row["name"].startswith(RUN)]
        assert ours == sorted(ours)
