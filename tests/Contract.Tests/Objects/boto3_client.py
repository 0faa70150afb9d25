"""What programs do with boto3, against the endpoint given; prints "done" when all of it held."""
import hashlib
import io
import sys

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="RegionOne", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError("was not refused: " + code)


s3.create_bucket(Bucket="boto-box")
assert "boto-box" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]

# Checksums of every kind, in headers and in trailers.
for algorithm in ["CRC32", "SHA1", "SHA256"]:
    s3.put_object(Bucket="boto-box", Key="sum-" + algorithm, Body=b"checked", ChecksumAlgorithm=algorithm, Metadata={"kind": algorithm})
    got = s3.get_object(Bucket="boto-box", Key="sum-" + algorithm, ChecksumMode="ENABLED")
    assert got["Body"].read() == b"checked" and got["Metadata"] == {"kind": algorithm} and got["Checksum" + algorithm]

# Transfers in parts, and ranges and parts of what they made.
big = bytes(range(256)) * 65536
s3.upload_fileobj(io.BytesIO(big), "boto-box", "big", Config=boto3.s3.transfer.TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=6 << 20))
head = s3.head_object(Bucket="boto-box", Key="big", PartNumber=1)
assert head["PartsCount"] == 3 and head["ContentLength"] == 6 << 20
assert s3.get_object(Bucket="boto-box", Key="big", Range="bytes=-10")["Body"].read() == big[-10:]
back = io.BytesIO()
s3.download_fileobj("boto-box", "big", back)
assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(big).digest()
s3.copy_object(Bucket="boto-box", Key="copy", CopySource={"Bucket": "boto-box", "Key": "big"})
s3.delete_object(Bucket="boto-box", Key="big")
assert s3.get_object(Bucket="boto-box", Key="copy")["Body"].read() == big

# Conditions, versions, tags, rules.
refused("PreconditionFailed", s3.put_object, Bucket="boto-box", Key="copy", Body=b"x", IfNoneMatch="*")
refused("NoSuchKey", s3.get_object, Bucket="boto-box", Key="big")
s3.put_bucket_versioning(Bucket="boto-box", VersioningConfiguration={"Status": "Enabled"})
first = s3.put_object(Bucket="boto-box", Key="kept", Body=b"one")["VersionId"]
s3.put_object(Bucket="boto-box", Key="kept", Body=b"two")
s3.delete_object(Bucket="boto-box", Key="kept")
assert s3.get_object(Bucket="boto-box", Key="kept", VersionId=first)["Body"].read() == b"one"
s3.put_object_tagging(Bucket="boto-box", Key="copy", Tagging={"TagSet": [{"Key": "a", "Value": "b c"}]})
assert s3.get_object_tagging(Bucket="boto-box", Key="copy")["TagSet"] == [{"Key": "a", "Value": "b c"}]
rules = [{"ID": "old", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 3}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}]
s3.put_bucket_lifecycle_configuration(Bucket="boto-box", LifecycleConfiguration={"Rules": rules})
assert s3.get_bucket_lifecycle_configuration(Bucket="boto-box")["Rules"] == rules

# Pages, and an end without leftovers.
keys = [item["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="boto-box", PaginationConfig={"PageSize": 2}) for item in page["Contents"]]
assert keys == sorted(keys) and len(keys) == 4, keys
for page in s3.get_paginator("list_object_versions").paginate(Bucket="boto-box"):
    doomed = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in page.get("Versions", []) + page.get("DeleteMarkers", [])]
    assert not s3.delete_objects(Bucket="boto-box", Delete={"Objects": doomed}).get("Errors")
s3.delete_bucket(Bucket="boto-box")
print("done")
