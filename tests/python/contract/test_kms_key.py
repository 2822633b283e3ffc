"""PutKMSEncryptionKey, GetKMSEncryptionKey."""

import pytest

from .api import REGION, body, refusal

ARN = f"arn:aws:kms:{REGION}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def put(afd):
    """The account has one key: it is as it was when the test is done."""
    yield lambda arn: afd.put_kms_encryption_key(kmsEncryptionKeyArn=arn)
    afd.put_kms_encryption_key(kmsEncryptionKeyArn="DEFAULT")


def test_a_key_is_put_got_and_taken_back(afd, put):
    assert body(put(ARN)) == {}
    assert body(afd.get_kms_encryption_key()) == {"kmsKey": {"kmsEncryptionKeyArn": ARN}}
    put("DEFAULT")
    with pytest.raises(afd.exceptions.ResourceNotFoundException):
        afd.get_kms_encryption_key()


def test_what_is_no_key(put):
    for arn in ("key", ARN.replace("key/", "alias/"), f"{ARN}0", ARN.replace(REGION, "eu-west-1")):
        assert refusal(put, arn).startswith("ValidationException: "), arn
