"""TagResource, UntagResource, ListTagsForResource."""

import pytest

from .api import body, check_pages, fresh, pages, refusal


def tags(**pairs):
    return [{"key": key, "value": value} for key, value in pairs.items()]


def listed(afd, arn):
    return " ".join(f"{tag['key']}={tag['value']}" for tag in afd.list_tags_for_resource(resourceARN=arn)["tags"])


@pytest.fixture
def arn(afd):
    """The ARN of a new label."""
    name = fresh()
    afd.put_label(name=name)
    return afd.get_labels(name=name)["labels"][0]["arn"]


def test_tags_are_added_replaced_and_removed(afd, arn):
    assert body(afd.list_tags_for_resource(resourceARN=arn)) == {"tags": []}
    assert body(afd.tag_resource(resourceARN=arn, tags=tags(b="1", a=""))) == {}
    assert listed(afd, arn) == "a= b=1"
    afd.tag_resource(resourceARN=arn, tags=tags(b="2", c="3"))
    assert listed(afd, arn) == "a= b=2 c=3"
    assert body(afd.untag_resource(resourceARN=arn, tagKeys=["a", "c", "z"])) == {}
    assert listed(afd, arn) == "b=2"
    afd.tag_resource(resourceARN=arn, tags=[])
    afd.untag_resource(resourceARN=arn, tagKeys=[])
    assert listed(afd, arn) == "b=2"


def test_every_kind_of_resource_has_tags(afd, shop):
    rule = shop.rule("r", "$amount > 1")
    shop.version([rule])
    afd.create_list(name=shop.v("listed"))
    given = tags(team="fraud")
    for row in [
        afd.get_variables(name=shop.v("amount"))["variables"][0],
        afd.get_entity_types(name=shop.customer)["entityTypes"][0],
        afd.get_labels(name=shop.labels[0])["labels"][0],
        afd.get_outcomes(name=shop.v("r"))["outcomes"][0],
        afd.get_event_types(name=shop.name)["eventTypes"][0],
        afd.get_detectors(detectorId=shop.name)["detectors"][0],
        afd.get_lists_metadata(name=shop.v("listed"))["lists"][0],
        afd.get_rules(detectorId=shop.name)["ruleDetails"][0],
        afd.get_detector_version(detectorId=shop.name, detectorVersionId="1"),
    ]:
        afd.tag_resource(resourceARN=row["arn"], tags=given)
        assert afd.list_tags_for_resource(resourceARN=row["arn"])["tags"] == given, row["arn"]
    assert shop.decide() == "r"


def test_tags_stay_when_the_resource_changes(afd, arn):
    afd.tag_resource(resourceARN=arn, tags=tags(a="1"))
    afd.put_label(name=arn.rsplit("/")[-1], description="new", tags=tags(b="2"))
    assert listed(afd, arn) == "a=1"


@pytest.mark.parametrize("path", ["label/{}", "detector/{}", "detector-version/{}/1", "rule/{}/r/1", "nothing/{}", "label/{}/1", "rule/{}/r/x"])
def test_resources_that_do_not_exist(afd, arn, path):
    missing = arn.rsplit(":", 1)[0] + ":" + path.format(fresh())
    for call, request in [
        (afd.list_tags_for_resource, {}),
        (afd.tag_resource, {"tags": tags(a="1")}),
        (afd.untag_resource, {"tagKeys": ["a"]}),
    ]:
        with pytest.raises(afd.exceptions.ResourceNotFoundException):
            call(resourceARN=missing, **request)


def test_another_account(afd, arn):
    account = arn.split(":")[4]
    other = arn.replace(account, "999999999999")
    assert refusal(afd.list_tags_for_resource, resourceARN=other).startswith("ResourceNotFoundException: ")


def test_a_key_is_given_once(afd, arn):
    assert refusal(afd.tag_resource, resourceARN=arn, tags=tags(a="1") * 2).startswith("ValidationException: ")


def test_a_resource_has_200_tags_at_most(afd, arn):
    many = {f"k{number:03}": "v" for number in range(200)}
    afd.tag_resource(resourceARN=arn, tags=tags(**many))
    assert refusal(afd.tag_resource, resourceARN=arn, tags=tags(more="1")).startswith("ValidationException: ")
    afd.tag_resource(resourceARN=arn, tags=tags(k000="w"))
    got = list(pages(afd.list_tags_for_resource, "tags", resourceARN=arn))
    assert [len(page) for page in got] == [50, 50, 50, 50]
    assert [tag["key"] for page in got for tag in page] == list(many)


def test_pages(afd, arn):
    names = [f"k{number:02}" for number in range(51)]
    afd.tag_resource(resourceARN=arn, tags=tags(**dict.fromkeys(names, "v")))
    check_pages(afd.list_tags_for_resource, "tags", lambda tag: tag["key"], 50, names, resourceARN=arn)
