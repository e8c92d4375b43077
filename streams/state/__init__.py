"""One partition as pure state: counts and detection, restored from and saved to a changelog."""
