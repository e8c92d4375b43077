"""Windows, watermark, rows and de-duplication of exact event-time counting; pure."""
