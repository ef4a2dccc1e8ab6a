"""librdkafka's mock cluster, as a broker to measure against. Prints its address and runs until its input ends."""

import sys

from confluent_kafka import Producer

# The mock lives in the client that asks for it; its metadata tells where it listens.
client = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
broker = next(iter(client.list_topics(timeout=10).brokers.values()))
print(f"{broker.host}:{broker.port}", flush=True)
sys.stdin.read()
