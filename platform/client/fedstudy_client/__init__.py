"""Python client for principal investigators who script their FedStudy studies."""

