"""The fault suite: seeded runs on a real Kafka, broken in every way we know, held against truth."""
