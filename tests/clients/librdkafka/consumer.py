"""Where a librdkafka consumer begins, seeks, commits and goes on; a pattern that finds a later topic."""
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap = sys.argv[1]
admin = AdminClient({"bootstrap.servers": bootstrap})


def create(*names):
    for created in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        created.result()


def member(group, **config):
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "topic.metadata.refresh.interval.ms": 500,
        }
        | config
    )


def take(consumer, count):
    records = []
    while len(records) < count:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        records.append(message)
    return records


create("msg-one", "msg-two")
producer = Producer({"bootstrap.servers": bootstrap})
for n in range(10):
    producer.produce("msg-one", f"{n}", partition=0, timestamp=1_700_000_000_000 + n)
producer.flush(20)

first = TopicPartition("msg-one", 0)
consumer = member("choosers")
consumer.assign([TopicPartition("msg-one", 0, OFFSET_BEGINNING)])
print("from the beginning:", [record.offset() for record in take(consumer, 2)])
consumer.seek(TopicPartition("msg-one", 0, 5))
print("from offset 5:", [record.offset() for record in take(consumer, 2)])
print("first and end offset:", consumer.get_watermark_offsets(first, timeout=20))
[found] = consumer.offsets_for_times([TopicPartition("msg-one", 0, 1_700_000_000_007)], timeout=20)
print("by time:", found.offset)
consumer.commit(offsets=[TopicPartition("msg-one", 0, 7)], asynchronous=False)
consumer.close()

consumer = member("choosers")
print("committed:", [place.offset for place in consumer.committed([first], timeout=20)])
consumer.subscribe(["msg-one"])
print("a member goes on from there:", [record.offset() for record in take(consumer, 3)])
consumer.commit(asynchronous=False)
print("committed:", [place.offset for place in consumer.committed([first], timeout=20)])
consumer.close()

consumer = member("itself", **{"enable.auto.commit": True})
consumer.subscribe(["msg-one"])
print("a group that commits by itself reads:", len(take(consumer, 10)))
consumer.close()
consumer = member("itself")
print("its close has committed:", [place.offset for place in consumer.committed([first], timeout=20)])
consumer.close()

# A later topic makes the group rebalance, after which members go on from what is committed.
consumer = member("by-pattern", **{"enable.auto.commit": True})
consumer.subscribe(["^msg-.*"])
print("by pattern:", {record.topic() for record in take(consumer, 10)})
create("msg-later")
for name in ["msg-two", "msg-later"]:
    producer.produce(name, name)
producer.flush(20)
print("by pattern:", sorted(record.topic() for record in take(consumer, 2)))
consumer.close()
