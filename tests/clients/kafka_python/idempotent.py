"""An idempotent producer: in order, once each, with many requests in flight."""
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

bootstrap = sys.argv[1]
with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
    admin.create_topics([NewTopic("once", num_partitions=1, replication_factor=1)])
producer = KafkaProducer(
    bootstrap_servers=bootstrap,
    enable_idempotence=True,
    acks="all",
    max_in_flight_requests_per_connection=5,
    batch_size=400,
)
sent = [producer.send("once", b"%d" % n) for n in range(1000)]
print("offsets are in order:", [future.get(20).offset for future in sent] == list(range(1000)))
producer.close()
consumer = KafkaConsumer("once", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
values = [int(record.value) for _, record in zip(range(1000), consumer)]
print("values are in order:", values == list(range(1000)))
consumer.close()
