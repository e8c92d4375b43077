"""Sources: what reads CloudTrail records somewhere and publishes them to the records topic."""
