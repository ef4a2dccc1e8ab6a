"""Several topics by name and by pattern; a topic that matches later is found."""
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

bootstrap = sys.argv[1]
admin = KafkaAdminClient(bootstrap_servers=bootstrap)


def create(*names):
    admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1) for name in names])


create("msgTopic", "msgTopic1", "unrelated")
producer = KafkaProducer(bootstrap_servers=bootstrap)
for name in ["msgTopic", "msgTopic1", "unrelated"]:
    producer.send(name, name.encode()).get(20)


def take(consumer, count):
    return sorted(record.value.decode() for _, record in zip(range(count), consumer))


# No topic in the constructor: `subscribe` would replace it silently.
names = KafkaConsumer(bootstrap_servers=bootstrap, group_id="by-name", auto_offset_reset="earliest")
names.subscribe(topics=["msgTopic", "msgTopic1"])
print("by name:", take(names, 2))
print("subscription:", sorted(names.subscription()))
names.close()

pattern = KafkaConsumer(
    bootstrap_servers=bootstrap,
    group_id="by-pattern",
    auto_offset_reset="earliest",
    metadata_max_age_ms=500,
)
pattern.subscribe(pattern="^msg.*pic.*")
print("by pattern:", take(pattern, 2))
create("msgTopicLater")
producer.send("msgTopicLater", b"msgTopicLater").get(20)
print("created later:", take(pattern, 1))
print("assignment:", sorted(p.topic for p in pattern.assignment()))
pattern.unsubscribe()
print("unsubscribed:", pattern.subscription(), pattern.assignment())
pattern.close()
producer.close()
admin.close()
