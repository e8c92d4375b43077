"""How Trailstreams is deployed: chart, compose file, dashboards and alerts."""
