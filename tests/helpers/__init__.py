"""What several tests share: processes of ours, and looking at Kafka from outside."""
