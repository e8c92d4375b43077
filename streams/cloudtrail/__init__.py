"""Pure: from a CloudTrail object's bytes to typed records, and the rules of what counts."""
