"""The contract of the API, asked through boto3 and the AWS CLI. CONTRACT_ENDPOINT names an endpoint other than our own."""
