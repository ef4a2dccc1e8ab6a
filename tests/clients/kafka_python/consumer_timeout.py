"""A consumer that does not wait for ever: a loop that ends, and a poll that returns empty."""
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

bootstrap = sys.argv[1]
with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
    admin.create_topics([NewTopic("quiet", num_partitions=1, replication_factor=1)])
producer = KafkaProducer(bootstrap_servers=bootstrap)
for i in range(3):
    producer.send("quiet", b"%d" % i).get(20)
producer.close()

consumer = KafkaConsumer(
    "quiet",
    bootstrap_servers=bootstrap,
    group_id="quiet",
    auto_offset_reset="earliest",
    # Joining the group counts too: long enough for a busy machine.
    consumer_timeout_ms=6000,
)
begin = time.monotonic()
print("the loop ends after:", [record.value for record in consumer])
print("it waited:", time.monotonic() - begin >= 6)

begin = time.monotonic()
print("a poll finds:", consumer.poll(timeout_ms=300))
print("it waited:", time.monotonic() - begin >= 0.3)
consumer.close()
