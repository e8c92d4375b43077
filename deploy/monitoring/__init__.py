"""Dashboards and alerts, generated from the signals; `python -m deploy.monitoring.build`."""
