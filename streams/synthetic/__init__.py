"""Seeded CloudTrail-like traffic of an organization, with labelled anomalies."""
