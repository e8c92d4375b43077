"""Anomalies in the counts: baselines, detectors, life-cycle; no clock, no random, no I/O."""
