"""What a producer may send, and what it is told about each record."""
import sys

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError, MessageSizeTooLargeError

bootstrap = sys.argv[1]
with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
    admin.create_topics([NewTopic("sent", num_partitions=2, replication_factor=1)])

producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")


def send(what, **record):
    # `get` waits in seconds, and raises what went wrong: nothing may be swallowed.
    told = producer.send("sent", **record).get(timeout=20)
    sizes = (told.serialized_key_size, told.serialized_value_size)
    print(f"{what}: {told.topic}-{told.partition}@{told.offset} sizes {sizes}")
    return told


send("key and value", key=b"foo", value=b"bar", partition=0)
send("empty key", key=b"", value=b"hello", partition=0)
send("no key", value=b"raw_bytes", partition=0)
send("tombstone", key=b"foo", partition=0)
send("headers", value=b"x", headers=[("trace", b"7"), ("empty", b"")], partition=1)
told = send("given time", value=b"x", timestamp_ms=1577539258566, partition=1)
print("the time is the producer's:", told.timestamp)

# The same key goes to the same partition, each time.
partitions = {producer.send("sent", key=b"count_num", value=b"%d" % i).get(20).partition for i in range(3)}
print("partitions of one key:", len(partitions))

for what, record in [
    ("text without a serializer", {"value": "text"}),
    ("a partition that is not there", {"value": b"x", "partition": 9}),
    ("a value above max_request_size", {"value": bytes(2_000_000)}),
]:
    try:
        producer.send("sent", **record).get(timeout=20)
    except (TypeError, ValueError, AssertionError, MessageSizeTooLargeError) as error:
        print(f"{what}: {type(error).__name__}")
    except KafkaError as error:
        print(f"{what}: KafkaError {error}")

producer.flush()
print("partitions:", sorted(producer.partitions_for("sent")))
producer.close()
