"""Exact counts and volume anomalies of AWS CloudTrail events, on Kafka and Faust."""

__version__ = "0.1.0"
