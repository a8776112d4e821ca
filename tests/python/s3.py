"""boto3 at our own store: an S3 client that is not ours. python s3.py <endpoint> <access key> <secret> <bucket>"""

import base64
import hashlib
import io
import os
import sys

import boto3
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, access_key, secret, bucket = sys.argv[1:]


def client(**config):
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1}, **config)
    keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret}
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config, **keys)


def refused(act):
    try:
        act()
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


s3 = client()
s3.head_bucket(Bucket=bucket)
assert refused(lambda: s3.head_bucket(Bucket="no-bucket")) == 404

# In and out, with each checksum that boto3 can send along in a trailer.
for size in (0, 1, 65_536, 5_000_000):
    data = os.urandom(size)
    for algorithm in ("CRC32", "SHA1", "SHA256", None):
        extra = {"ChecksumAlgorithm": algorithm} if algorithm else {}
        put = s3.put_object(Bucket=bucket, Key="a", Body=io.BytesIO(data), ContentType="image/png", **extra)
        assert put["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
        got = s3.get_object(Bucket=bucket, Key="a")
        assert got["Body"].read() == data and got["ContentType"] == "image/png"
assert s3.get_object(Bucket=bucket, Key="a", Range="bytes=10-19")["Body"].read() == data[10:20]
assert s3.head_object(Bucket=bucket, Key="a")["ContentLength"] == len(data)

# Bytes that are not what they are said to be leave nothing behind.
bad = {"Bucket": bucket, "Key": "bad"}
assert refused(lambda: s3.put_object(Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==", **bad)) == 400
assert refused(lambda: s3.put_object(Body=b"x", ChecksumSHA256=base64.b64encode(bytes(32)).decode(), **bad)) == 400
assert refused(lambda: s3.put_object(Body=b"x" * 10_000_001, **bad)) in (400, 413)
assert refused(lambda: s3.head_object(**bad)) == 404

# Keys of every kind, listed in the order of their bytes.
keys = ["../up", "a/../b", "ä ö+&?.bin", "files//x", "/root", "CON", "x" * 200]
for key in keys:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
for key in keys:
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode(), key
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
listed = [item["Key"] for page in pages for item in page["Contents"]]
assert listed == sorted([*keys, "a"], key=str.encode), listed

# Links that boto3 signs.
url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"}, ExpiresIn=60)
assert requests.get(url).content == data
assert requests.put(url, data=b"x").status_code == 403
assert requests.get(url + "&a=b").status_code == 403
digest = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
terms = {"Bucket": bucket, "Key": "up", "ContentType": "text/plain", "ContentLength": 5, "ChecksumSHA256": digest}
plain = client(request_checksum_calculation="when_required")
url = plain.generate_presigned_url("put_object", Params=terms, ExpiresIn=60)
headers = {"content-type": "text/plain", "x-amz-checksum-sha256": digest}
assert requests.put(url, data=b"hellO", headers=headers).status_code in (400, 403)
assert requests.put(url, data=b"hello!", headers=headers).status_code == 403
assert requests.put(url, data=b"hello", headers=headers).status_code == 200

# Somebody with another secret.
secret = "another"
assert refused(lambda: client().list_objects_v2(Bucket=bucket)) == 403

for key in [*listed, "up", "never-there"]:
    s3.delete_object(Bucket=bucket, Key=key)
assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
print("fine")
