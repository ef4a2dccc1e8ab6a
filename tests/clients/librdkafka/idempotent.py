"""An idempotent librdkafka producer: in order, once each, with five requests in flight."""
import sys

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap = sys.argv[1]
admin = AdminClient({"bootstrap.servers": bootstrap})
for created in admin.create_topics([NewTopic("once", 1, 1)]).values():
    created.result()
producer = Producer(
    {
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "max.in.flight.requests.per.connection": 5,
        "batch.num.messages": 10,
        "linger.ms": 0,
    }
)
offsets = []
for n in range(2000):
    producer.produce("once", str(n), on_delivery=lambda error, message: offsets.append(error or message.offset()))
    producer.poll(0)
producer.flush(20)
print("offsets are in order:", offsets == list(range(2000)))
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused"})
consumer.assign([TopicPartition("once", 0, 0)])
values = []
while len(values) < 2000:
    values += [int(message.value()) for message in consumer.consume(500, 0.2) if not message.error()]
print("values are in order:", values == list(range(2000)))
consumer.close()
