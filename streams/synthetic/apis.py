"""The APIs that synthetic callers use: what a record says beside who called.

Shapes follow the log entry examples of the AWS documentation (each service's page "Logging … with
AWS CloudTrail"); `<names>` are filled in by `render`.
"""

from dataclasses import dataclass, field

from streams.synthetic.words import Json

_READ, _WRITE = True, False
_DENIED = ("AccessDenied", "User is not authorized to perform: <service>:<event>")


@dataclass(frozen=True, slots=True)
class Api:
    """One API operation as it appears in a trail."""

    service: str
    """Its name in host names, IAM actions and the event source, for example `ec2`."""
    event_name: str
    read_only: bool
    request: dict[str, Json] | None = None
    response: dict[str, Json] | None = field(default=None, kw_only=True)
    """Response elements of a successful call; AWS leaves them null for reads."""
    category: str = field(default="Management", kw_only=True)
    """`Management` or `Data`."""
    extra: dict[str, Json] | None = field(default=None, kw_only=True)
    """`additionalEventData`, absent if None."""
    resources: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    """Type and ARN of each resource."""
    error: tuple[str, str] = field(default=_DENIED, kw_only=True)
    """Code and message of a failed call."""
    host: str = field(default="<service>.<region>.amazonaws.com", kw_only=True)
    """Server name the client connected to (`tlsDetails`)."""

    @property
    def event_source(self) -> str:
        """The service as records name it, for example `ec2.amazonaws.com`."""
        return f"{self.service}.amazonaws.com"


_THROTTLED = ("Client.RequestLimitExceeded", "Request limit exceeded.")
_RATE = ("ThrottlingException", "Rate exceeded")
_S3_EXTRA: dict[str, Json] = {
    "SignatureVersion": "SigV4",
    "CipherSuite": "TLS_AES_128_GCM_SHA256",
    "bytesTransferredIn": 0,
    "bytesTransferredOut": 24117,
    "AuthenticationMethod": "AuthHeader",
    "x-amz-id-2": "<hex64>EXAMPLE=",
}
_S3_RESOURCES = (
    ("AWS::S3::Object", "arn:aws:s3:::example-<account>-<bucket>/<path>"),
    ("AWS::S3::Bucket", "arn:aws:s3:::example-<account>-<bucket>"),
)
_S3_REQUEST: dict[str, Json] = {
    "bucketName": "example-<account>-<bucket>",
    "Host": "example-<account>-<bucket>.s3.<region>.amazonaws.com",
    "key": "<path>",
}
_S3_HOST = "example-<account>-<bucket>.s3.<region>.amazonaws.com"
_KEY = (("AWS::KMS::Key", "arn:aws:kms:<region>:<account>:key/<uuid>"),)
_FUNCTION = "arn:aws:lambda:<region>:<account>:function:example-<word>"
_ROLE = "arn:aws:iam::<account>:role/example-<word>"
_CREDENTIALS: dict[str, Json] = {
    "accessKeyId": "<issued_key>",
    "sessionToken": "<hex64><hex64>",
    "expiration": "<ends>",
}
_ASSUMED: dict[str, Json] = {
    "credentials": _CREDENTIALS,
    "assumedRoleUser": {
        "assumedRoleId": "<unique_id>:example-<word>",
        "arn": "arn:aws:sts::<account>:assumed-role/example-<word>/example-<word>",
    },
}
_METRICS: dict[str, Json] = {
    "metricDataQueries": [
        {
            "id": "m1",
            "metricStat": {
                "metric": {
                    "namespace": "AWS/EC2",
                    "metricName": "CPUUtilization",
                    "dimensions": [{"name": "InstanceId", "value": "<instance>"}],
                },
                "period": 300,
                "stat": "Average",
            },
            "returnData": True,
        }
    ],
    "startTime": "<created>",
    "endTime": "<ends>",
    "scanBy": "TimestampDescending",
}

# In the order of the services' names; the keys are what habits are written with.
_ALL = (
    Api("autoscaling", "DescribeAutoScalingGroups", _READ, {"maxRecords": 100}),
    Api(
        "backup",
        "StartBackupJob",
        _WRITE,
        {"backupVaultName": "example-<word>", "iamRoleArn": _ROLE},
    ),
    Api("cloudformation", "DescribeStacks", _READ, {"stackName": "example-<word>"}, error=_RATE),
    Api("cloudtrail", "LookupEvents", _READ, {"maxResults": 50}, error=_RATE),
    Api("config", "DescribeConfigRules", _READ),
    Api(
        "dynamodb",
        "GetItem",
        _READ,
        {"tableName": "example-<word>", "key": {"id": "<hex17>"}},
        category="Data",
        resources=(
            ("AWS::DynamoDB::Table", "arn:aws:dynamodb:<region>:<account>:table/example-<word>"),
        ),
    ),
    Api(
        "ec2",
        "DescribeInstances",
        _READ,
        {"instancesSet": {"items": [{"instanceId": "<instance>"}]}, "filterSet": {}},
        error=_THROTTLED,
    ),
    Api("ec2", "DescribeNetworkInterfaces", _READ, {"networkInterfaceIdSet": {}, "filterSet": {}}),
    Api("ec2", "DescribeSecurityGroups", _READ, {"securityGroupSet": {}, "filterSet": {}}),
    Api("ec2", "DescribeVolumes", _READ, {"volumeSet": {}, "filterSet": {}, "maxResults": 500}),
    Api(
        "ec2",
        "CreateTags",
        _WRITE,
        {
            "resourcesSet": {"items": [{"resourceId": "<instance>"}]},
            "tagSet": {"items": [{"key": "Team", "value": "<word>"}]},
        },
        response={"requestId": "<uuid>", "_return": True},
    ),
    Api(
        "ec2",
        "RunInstances",
        _WRITE,
        {
            "instancesSet": {"items": [{"imageId": "ami-<hex17>", "minCount": 1, "maxCount": 1}]},
            "instanceType": "m7g.large",
            "subnetId": "subnet-<hex17>",
        },
        response={
            "requestId": "<uuid>",
            "reservationId": "r-<hex17>",
            "instancesSet": {"items": [{"instanceId": "<instance>", "instanceState": {"code": 0}}]},
        },
    ),
    Api("ecr", "BatchGetImage", _READ, {"repositoryName": "example/<word>"}),
    Api("eks", "DescribeCluster", _READ, {"name": "example-<word>"}),
    Api(
        "elasticloadbalancing", "DescribeTargetHealth", _READ, {"targetGroupArn": "example-<word>"}
    ),
    Api(
        "iam",
        "GetRole",
        _READ,
        {"roleName": "example-<word>"},
        error=("NoSuchEntityException", "Not found."),
    ),
    Api("iam", "ListRoles", _READ, {"maxItems": 100}),
    Api("iam", "ListUsers", _READ, {"maxItems": 100}),
    Api(
        "kms",
        "Decrypt",
        _READ,
        {
            "keyId": "arn:aws:kms:<region>:<account>:key/<uuid>",
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "encryptionContext": {"aws:s3:arn": "arn:aws:s3:::example-<account>-<bucket>"},
        },
        resources=_KEY,
    ),
    Api("kms", "DescribeKey", _READ, {"keyId": "<uuid>"}, resources=_KEY),
    Api("kms", "GenerateDataKey", _READ, {"keyId": "<uuid>", "keySpec": "AES_256"}, resources=_KEY),
    Api("lambda", "GetFunction20150331v2", _READ, {"functionName": "example-<word>"}),
    Api(
        "lambda",
        "Invoke",
        _WRITE,
        {"functionName": _FUNCTION, "invocationType": "RequestResponse"},
        category="Data",
        resources=(("AWS::Lambda::Function", _FUNCTION),),
    ),
    Api(
        "logs",
        "CreateLogStream",
        _WRITE,
        {"logGroupName": "/aws/lambda/example-<word>", "logStreamName": "[$LATEST]<hex17>"},
    ),
    Api("logs", "DescribeLogGroups", _READ, {"limit": 50}, error=_RATE),
    Api(
        "logs",
        "FilterLogEvents",
        _READ,
        {"logGroupName": "/aws/lambda/example-<word>"},
        category="Data",
        error=_RATE,
    ),
    Api("monitoring", "DescribeAlarms", _READ, {"maxRecords": 100}),
    Api(
        "monitoring",
        "GetMetricData",
        _READ,
        _METRICS,
        category="Data",
        resources=(("AWS::CloudWatch::Metric", "arn:aws:cloudwatch:<region>:<account>:metric/*"),),
    ),
    Api("monitoring", "ListMetrics", _READ, {"namespace": "AWS/EC2"}),
    Api("organizations", "ListAccounts", _READ),
    Api("rds", "DescribeDBInstances", _READ, {"dBInstanceIdentifier": "example-<word>"}),
    Api(
        "s3",
        "GetBucketAcl",
        _READ,
        {"bucketName": "example-<account>-<bucket>", "acl": ""},
        host=_S3_HOST,
    ),
    Api(
        "s3",
        "GetObject",
        _READ,
        _S3_REQUEST,
        category="Data",
        extra=_S3_EXTRA,
        resources=_S3_RESOURCES,
        host=_S3_HOST,
    ),
    Api(
        "s3",
        "ListBuckets",
        _READ,
        {"Host": "s3.<region>.amazonaws.com"},
        host="s3.<region>.amazonaws.com",
    ),
    Api(
        "s3",
        "PutObject",
        _WRITE,
        _S3_REQUEST,
        response={"x-amz-server-side-encryption": "AES256"},
        category="Data",
        extra=_S3_EXTRA,
        resources=_S3_RESOURCES,
        host=_S3_HOST,
    ),
    Api(
        "secretsmanager",
        "GetSecretValue",
        _READ,
        {"secretId": "arn:aws:secretsmanager:<region>:<account>:secret:example-<word>"},
    ),
    Api(
        "ssm",
        "UpdateInstanceInformation",
        _WRITE,
        {"instanceId": "<instance>", "agentName": "amazon-ssm-agent"},
    ),
    Api("ssm", "GetParameter", _READ, {"name": "/example/<word>", "withDecryption": True}),
    Api("sso", "ListAccountRoles", _READ, {"accountId": "<account>"}),
    Api(
        "sts",
        "AssumeRole",
        _READ,
        {"roleArn": _ROLE, "roleSessionName": "example-<word>", "durationSeconds": 3600},
        response=_ASSUMED,
        resources=(("AWS::IAM::Role", _ROLE),),
    ),
    Api(
        "sts",
        "AssumeRoleWithSAML",
        _READ,
        {"roleArn": _ROLE, "principalArn": "arn:aws:iam::<account>:saml-provider/example"},
        response=_ASSUMED,
        resources=(("AWS::IAM::Role", _ROLE),),
    ),
    Api(
        "sts",
        "AssumeRoleWithWebIdentity",
        _READ,
        {"roleArn": _ROLE, "roleSessionName": "example-<word>"},
        response=_ASSUMED,
        resources=(("AWS::IAM::Role", _ROLE),),
    ),
    Api("sts", "GetCallerIdentity", _READ),
)


def catalogue() -> dict[str, Api]:
    """Return every API by the name habits use: `service:EventName`."""
    return {f"{api.service}:{api.event_name}": api for api in _ALL}
